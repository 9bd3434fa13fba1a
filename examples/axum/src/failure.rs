//! [`Failure`]: why a request failed, and its HTTP status.

use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dogpile::{CreateError, RegionError};

use crate::database::DatabaseBusy;

/// The reply requests clients to retry after a second.
const RETRY: [(HeaderName, &str); 1] = [(header::RETRY_AFTER, "1")];

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("not found")]
    NotFound,
    #[error(transparent)]
    Database(#[from] DatabaseBusy),
    #[error(transparent)]
    Cache(#[from] RegionError),
}

impl From<CreateError<DatabaseBusy>> for Failure {
    fn from(error: CreateError<DatabaseBusy>) -> Self {
        // The query of this request failed, or the query of another request for which this one waited.
        error.into_creator_error().map_or_else(Failure::Cache, Failure::Database)
    }
}

/// The details are for the log, not for clients.
impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match &self {
            Failure::NotFound => (StatusCode::NOT_FOUND, "not found").into_response(),
            Failure::Database(error) => {
                tracing::warn!(%error, "a query failed");
                (StatusCode::SERVICE_UNAVAILABLE, RETRY, "the database is busy").into_response()
            }
            Failure::Cache(error) if error.is_transient() => {
                tracing::warn!(error = format!("{error:#}"), "the cache is unavailable");
                (StatusCode::SERVICE_UNAVAILABLE, RETRY, "the cache is unavailable").into_response()
            }
            Failure::Cache(error) => {
                tracing::error!(error = format!("{error:#}"), "the cache failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "internal error").into_response()
            }
        }
    }
}
