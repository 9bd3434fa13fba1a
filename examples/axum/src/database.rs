//! [`Database`]: stands for the database of a real service. It is slow, and has few connections.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// The number of queries that run at the same time.
const CONNECTIONS: usize = 4;

/// The longest time that a query waits for a connection.
const CONNECTION_WAIT: Duration = Duration::from_secs(1);

/// The number of products. Their IDs begin with 1.
const PRODUCTS: u32 = 1_000;

/// A product of the shop.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Product {
    /// The ID of the product.
    pub id: u32,
    /// The name of the product.
    pub name: String,
    /// The price of the product.
    pub cents: u32,
}

/// The query got no connection to the database.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no free connection to the database: all {CONNECTIONS} were in use for {CONNECTION_WAIT:?}")]
pub struct DatabaseBusy;

/// Stands for the database of a real service: each query sleeps. It counts its queries.
#[derive(Debug)]
pub struct Database {
    query_time: Duration,
    connections: Semaphore,
    queries: AtomicUsize,
}

impl Database {
    /// Creates a database whose queries take `query_time`.
    pub fn new(query_time: Duration) -> Self {
        Database { query_time, connections: Semaphore::new(CONNECTIONS), queries: AtomicUsize::new(0) }
    }

    /// Returns the number of queries that were begun.
    pub fn queries(&self) -> usize {
        self.queries.load(Relaxed)
    }

    /// Returns the product `id`, or `None` if there is no such product.
    ///
    /// # Errors
    /// If the database is busy.
    pub async fn product(&self, id: u32) -> Result<Option<Product>, DatabaseBusy> {
        self.query().await?;
        let product = Product { id, name: format!("tea no. {id}"), cents: 300 + id };
        Ok((1..=PRODUCTS).contains(&id).then_some(product))
    }

    /// Returns how much of `currency` a euro costs, or `None` for an unknown currency.
    ///
    /// # Errors
    /// If the database is busy.
    pub async fn rate(&self, currency: &str) -> Result<Option<f64>, DatabaseBusy> {
        self.query().await?;
        let rates = [("CHF", 0.93), ("GBP", 0.87), ("USD", 1.16)];
        Ok(rates.into_iter().find(|(name, _)| *name == currency).map(|(_, rate)| rate))
    }

    async fn query(&self) -> Result<(), DatabaseBusy> {
        let Ok(Ok(_connection)) = timeout(CONNECTION_WAIT, self.connections.acquire()).await else {
            return Err(DatabaseBusy);
        };
        self.queries.fetch_add(1, Relaxed);
        sleep(self.query_time).await;
        Ok(())
    }
}
