//! The server or servers of a backend, for each kind of deployment.

pub(crate) mod cluster;
mod recent;
mod run;
pub(crate) mod sentinel;
mod single;
mod slots;
mod turns;

use std::sync::Arc;

use dogpile_sdk::BackendError;
use dogpile_sdk::PerProcess;

use self::cluster::Cluster;
pub(crate) use self::run::{Servers, only};
use self::sentinel::Sentinel;
use crate::config::{Deployment, RedisConfig};
use crate::connection::{Address, Server};
use crate::pool::{Limits, Pool};

/// The servers of a backend. Each process has its own connections to them.
#[derive(Clone, Debug)]
pub(crate) enum Deployed {
    Single(Arc<PerProcess<Pool>>),
    Sentinel(Arc<PerProcess<Sentinel>>),
    Cluster(Arc<PerProcess<Cluster>>),
}

impl Deployed {
    /// Returns what runs blocking calls.
    pub(crate) fn servers(&self) -> Arc<dyn Servers> {
        match self {
            Deployed::Single(pool) => Arc::clone(pool) as _,
            Deployed::Sentinel(sentinel) => Arc::clone(sentinel) as _,
            Deployed::Cluster(cluster) => Arc::clone(cluster) as _,
        }
    }
}

/// Creates the servers that `config` names, without connecting.
pub(crate) fn deploy(config: &RedisConfig, deployment: Deployment) -> Result<Deployed, BackendError> {
    config.check(deployment)?;
    Ok(match deployment {
        Deployment::Single => Deployed::Single(per_process(single(config)?)),
        Deployment::Sentinel => Deployed::Sentinel(per_process(Sentinel::plan(config)?)),
        Deployment::Cluster => Deployed::Cluster(per_process(Cluster::plan(config)?)),
    })
}

fn per_process<S: Servers>(build: impl Fn() -> S + Send + Sync + 'static) -> Arc<PerProcess<S>> {
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
