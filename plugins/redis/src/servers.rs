//! The server or servers of a backend, for each kind of deployment.

mod cluster;
mod recent;
mod run;
mod sentinel;
mod single;
mod slots;

use std::sync::Arc;

use dogpile_sdk::BackendError;

use self::cluster::Cluster;
pub(crate) use self::run::{Servers, run_one};
use self::sentinel::Sentinel;
use crate::config::{Deployment, RedisConfig};
use crate::pool::{Limits, Pool};

/// Creates the servers that `config` names, without connecting.
pub(crate) fn servers(
    config: &RedisConfig,
    deployment: Deployment,
) -> Result<Arc<dyn Servers>, BackendError> {
    config.check(deployment)?;
    let options = config.options(deployment);
    let limits = Limits::new(config, &options)?;
    Ok(match deployment {
        Deployment::Single => Arc::new(Pool::new(config.server(&options)?, limits)?),
        Deployment::Sentinel => Arc::new(Sentinel::new(config, options, limits)?),
        Deployment::Cluster => Arc::new(Cluster::new(config, options, limits)?),
    })
}
