//! The server or servers of a backend, for each kind of deployment.

mod cluster;
mod recent;
mod run;
mod sentinel;
mod single;
mod slots;
mod turns;

use std::sync::Arc;

use dogpile_sdk::BackendError;
use dogpile_sdk::PerProcess;

use self::cluster::Cluster;
pub(crate) use self::run::{Servers, only, run_one};
use self::sentinel::Sentinel;
use crate::config::{Deployment, RedisConfig};
use crate::connection::{Address, Server};
use crate::pool::{Limits, Pool};

/// Creates the servers that `config` names, without connecting. Each process has its own connections to them.
pub(crate) fn servers(
    config: &RedisConfig,
    deployment: Deployment,
) -> Result<Arc<dyn Servers>, BackendError> {
    config.check(deployment)?;
    Ok(match deployment {
        Deployment::Single => per_process(single(config)?),
        Deployment::Sentinel => per_process(Sentinel::plan(config)?),
        Deployment::Cluster => per_process(Cluster::plan(config)?),
    })
}

fn per_process<S: Servers>(build: impl Fn() -> S + Send + Sync + 'static) -> Arc<dyn Servers> {
    Arc::new(PerProcess::new(build, S::abandon))
}

/// Returns what creates the pool of the single server that `config` names.
fn single(config: &RedisConfig) -> Result<impl Fn() -> Pool + use<>, BackendError> {
    let (address, options) = config.server(Deployment::Single)?;
    let limits = Limits::new(config, &options)?;
    let profile = options.profile(matches!(address, Address::Unix(_)))?;
    let server = Server { address, profile: Arc::new(profile) };
    Ok(move || Pool::new(server.clone(), limits.clone()))
}
