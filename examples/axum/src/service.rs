//! [`serve`]: the server, from its first request to its end.

use std::future::{Future, IntoFuture};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::routes::routes;
use crate::shop::Shop;

/// How long requests and creations may go on once the service is to stop.
pub const GRACE: Duration = Duration::from_secs(5);

/// Serves requests until `stop` completes. Requests and creations in progress may then take at most [`GRACE`].
///
/// # Errors
/// If the server fails.
pub async fn serve(
    listener: TcpListener,
    shop: Arc<Shop>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (stopping, stopped) = oneshot::channel();
    let stop = async {
        stop.await;
        tracing::info!("stopping");
        // The receiver is gone if the server has failed.
        let _ = stopping.send(());
    };
    let server = axum::serve(listener, routes(Arc::clone(&shop))).with_graceful_shutdown(stop);
    let all = async {
        server.into_future().await?;
        // Detached creations have no request, and the last request may have left a lock to be released.
        shop.wait_until_idle(GRACE).await.map_err(io::Error::other)
    };
    let limit = async {
        let _ = stopped.await;
        sleep(GRACE).await;
    };
    let is_idle = tokio::select! {
        ended = all => ended?,
        () = limit => false,
    };
    if !is_idle {
        tracing::warn!("requests or creations are still in progress after {GRACE:?}");
    }
    Ok(())
}
