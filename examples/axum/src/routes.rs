//! [`routes`]: the routes of the service.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::IntoResponseParts;
use axum::routing::{delete, get};
use axum::{Json, Router};
use dogpile::{prometheus_text, shared};

use crate::cache_status::cache_status;
use crate::database::Product;
use crate::failure::Failure;
use crate::shop::Shop;

/// Returns the routes of the service.
pub(crate) fn routes(shop: Arc<Shop>) -> Router {
    Router::new()
        .route("/products/{id}", get(product))
        .route("/rates/{currency}", get(rate))
        .route("/cache/products/{id}", delete(forget_product))
        .route("/cache/rates/{currency}", delete(forget_rate))
        .route("/queries", get(queries))
        .route("/metrics", get(metrics))
        .route("/health", get(async || "ok"))
        .with_state(shop)
}

/// Caches with a call of the region, and sends the client the outcome. If the client goes away, the query still ends, and its
/// result is cached.
async fn product(
    State(shop): State<Arc<Shop>>,
    Path(id): Path<u32>,
) -> Result<(impl IntoResponseParts, Json<Product>), Failure> {
    let database = Arc::clone(&shop.database);
    // Requests that wait for this query get its error, if it fails.
    let query = async move || database.product(id).await.map_err(shared);
    let call = shop.products.options().detach().with_outcome();
    let served = call.try_get_or_create_async(&product_key(id), query).await?;
    let status = cache_status(&served);
    served.value.map(|product| (status, Json(product))).ok_or(Failure::NotFound)
}

/// Caches with a function, [`Shop::rate`].
async fn rate(State(shop): State<Arc<Shop>>, Path(currency): Path<String>) -> Result<Json<f64>, Failure> {
    shop.rate(&currency).await?.map(Json).ok_or(Failure::NotFound)
}

/// Removes a product from the cache. Clients request it after the product was changed in the database.
async fn forget_product(State(shop): State<Arc<Shop>>, Path(id): Path<u32>) -> Result<StatusCode, Failure> {
    shop.products.delete_async(&product_key(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a rate from the cache, with a companion of [`Shop::rate`].
async fn forget_rate(
    State(shop): State<Arc<Shop>>,
    Path(currency): Path<String>,
) -> Result<StatusCode, Failure> {
    shop.rate_invalidate(&currency).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Returns how many queries the database got.
async fn queries(State(shop): State<Arc<Shop>>) -> Json<usize> {
    Json(shop.database.queries())
}

/// Returns the statistics of the regions, for Prometheus.
async fn metrics(State(shop): State<Arc<Shop>>) -> ([(HeaderName, &'static str); 1], String) {
    let statistics: Vec<_> = [&shop.products, &shop.rates]
        .iter()
        .filter_map(|region| region.statistics().ok().flatten())
        .collect();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], prometheus_text(&statistics))
}

fn product_key(id: u32) -> String {
    format!("product:{id}")
}
