//! [`Shop`]: what all requests share.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dogpile::{CacheRegion, Configuration, ConfigurationError, RegionError, cache_on_arguments};

use crate::database::{Database, DatabaseBusy};

/// What all requests share: the database, and the regions in front of it.
#[derive(Debug)]
pub struct Shop {
    pub(crate) products: CacheRegion,
    pub(crate) rates: CacheRegion,
    pub(crate) database: Arc<Database>,
}

impl Shop {
    /// Opens a shop whose regions are configured in `file`. Blocks while their backends are opened.
    ///
    /// # Errors
    /// If the file cannot be read, or does not configure the regions.
    pub fn open(file: &Path, database: Database) -> Result<Self, ConfigurationError> {
        let (products, rates) = (CacheRegion::new("products"), CacheRegion::new("rates"));
        let configuration = Configuration::from_file(file)?;
        configuration.configure(&products)?;
        configuration.configure(&rates)?;
        Ok(Shop { products, rates, database: Arc::new(database) })
    }

    /// Returns how much of `currency` a euro costs. While the cache fails, each call queries the database.
    #[cache_on_arguments(region = self.rates, ignore(self))]
    pub(crate) async fn rate(&self, currency: &str) -> Result<Option<f64>, DatabaseBusy> {
        self.database.rate(currency).await
    }

    /// Waits until the regions have nothing in progress, for at most `limit`, and returns whether that is so.
    pub(crate) async fn wait_until_idle(&self, limit: Duration) -> Result<bool, RegionError> {
        let (products, rates) =
            tokio::join!(self.products.wait_until_idle_async(limit), self.rates.wait_until_idle_async(limit));
        Ok(products? && rates?)
    }
}
