//! Waiters for a lock on the server are notified of its release, and also poll.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use dogpile::RegionConfig;
use dogpile::sdk::CacheMutex;
use dogpile_tests::redis::{ClusterServers, REDIS, RedisServer, SERVICE, SentinelServers};
use dogpile_tests::regions::region_of;
use dogpile_tests::threads::{bounded, together, until};

use super::{config, count, region, say, server};

/// Returns the number of connections that are subscribed to releases of the lock of `key`.
pub(super) fn listeners(server: &RedisServer, key: &str) -> usize {
    listeners_on(server.port(), key)
}

pub(super) fn listeners_on(port: u16, key: &str) -> usize {
    let reply = say(port, &format!("PUBSUB NUMSUB _lock{key}:released"));
    reply.trim_end().rsplit(':').next().unwrap().parse().unwrap()
}

/// Returns the number of connections with a subscription.
pub(super) fn all_listeners(server: &RedisServer) -> usize {
    say(server.port(), "CLIENT LIST TYPE pubsub").matches("sub=1 ").count()
}

pub(super) fn mutex(config: RegionConfig, key: &str) -> Arc<dyn CacheMutex> {
    region_of("waiting", config).backend().unwrap().get_mutex(key).unwrap()
}

/// Returns a deadline that no test reaches.
fn far() -> Instant {
    Instant::now() + Duration::from_secs(600)
}

/// Runs `meanwhile` while a thread waits for `wanted`, and checks that the thread acquires it.
fn while_waiting(wanted: &dyn CacheMutex, meanwhile: impl FnOnce()) {
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wanted.acquire_until(far()));
        meanwhile();
        assert!(waiter.join().unwrap().unwrap());
    });
    wanted.release().unwrap();
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn waiter_is_subscribed_until_it_acquires() {
    bounded(|| {
        let server = server(&[]);
        let (held, wanted) = (mutex(config(&server), "key"), mutex(config(&server), "key"));
        assert!(held.try_acquire().unwrap());
        while_waiting(&*wanted, || {
            until("the waiter is subscribed", || listeners(&server, "key") == 1);
            held.release().unwrap();
        });
        until("the waiter has unsubscribed", || listeners(&server, "key") == 0);
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn waiters_subscribe_in_a_cluster_and_through_sentinels() {
    bounded(|| {
        let cluster = ClusterServers::start(REDIS).unwrap();
        let address = |port: &u16| format!("127.0.0.1:{port}");
        let nodes: Vec<_> = cluster.ports().iter().map(address).collect();
        let over_cluster =
            || RegionConfig::new("dogpile.cache.redis_cluster").argument("startup_nodes", nodes.clone());
        one_server_notifies_waiter(&over_cluster, &cluster.ports());
        let sentinels = SentinelServers::start(REDIS).unwrap();
        let addresses: Vec<_> = sentinels.sentinel_ports().iter().map(address).collect();
        let over_sentinels = || {
            let config = RegionConfig::new("dogpile.cache.redis_sentinel");
            config.argument("sentinels", addresses.clone()).argument("service_name", SERVICE)
        };
        one_server_notifies_waiter(&over_sentinels, &[sentinels.master_port()]);
    });
}

/// Checks that a waiter subscribes on one of the servers only, and is notified there.
fn one_server_notifies_waiter(config: &dyn Fn() -> RegionConfig, ports: &[u16]) {
    let config = || config().argument("distributed_lock", true);
    let (held, wanted) = (mutex(config(), "key"), mutex(config(), "key"));
    let listeners = || ports.iter().map(|port| listeners_on(*port, "key")).sum::<usize>();
    assert!(held.try_acquire().unwrap());
    while_waiting(&*wanted, || {
        until("the waiter is subscribed", || listeners() == 1);
        held.release().unwrap();
    });
    until("the waiter has unsubscribed", || listeners() == 0);
    // At least two: sentinels publish on the master as well.
    assert!(ports.iter().any(|port| count(*port, "publish") >= 2));
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn each_notification_makes_the_waiter_poll() {
    bounded(|| {
        let server = server(&[]);
        // Pauses grow with the wait: without notifications, a waiter polls about 200 times in half a minute.
        let wanted = mutex(config(&server).argument("lock_sleep", 3600.0), "key");
        say(server.port(), "SET _lockkey another");
        while_waiting(&*wanted, || {
            until("the waiter is subscribed", || listeners(&server, "key") == 1);
            say(server.port(), "CONFIG RESETSTAT");
            say(server.port(), &["PUBLISH _lockkey:released x"; 500].join("\r\n"));
            until("it has polled once per notification", || count(server.port(), "set") >= 500);
            say(server.port(), "DEL _lockkey\r\nPUBLISH _lockkey:released x");
        });
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn waiting_threads_of_a_process_share_one_subscription() {
    bounded(|| {
        let server = server(&[]);
        let region = region(&server);
        let mutexes = |_| region.backend().unwrap().get_mutex("key").unwrap();
        let mutexes: Vec<_> = (0..4).map(mutexes).collect();
        say(server.port(), "SET _lockkey another");
        thread::scope(|scope| {
            let waiting: Vec<_> = mutexes
                .iter()
                .map(|mutex| {
                    scope.spawn(|| {
                        assert!(mutex.acquire_until(far()).unwrap());
                        mutex.release().unwrap();
                    })
                })
                .collect();
            until("one thread is subscribed", || listeners(&server, "key") == 1);
            // Wait long enough for each thread to reach the point where it would subscribe.
            say(server.port(), "CONFIG RESETSTAT");
            until("all threads have polled often", || count(server.port(), "set") >= 200);
            assert_eq!(listeners(&server, "key"), 1);
            say(server.port(), "DEL _lockkey");
            waiting.into_iter().for_each(|waiter| waiter.join().unwrap());
        });
        until("all subscriptions are closed", || all_listeners(&server) == 0);
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn waiters_beyond_the_subscription_limit_acquire_too() {
    bounded(|| {
        let server = server(&[]);
        let region = region(&server);
        let keys: Vec<String> = (0..20).map(|number| format!("key {number}")).collect();
        let locks: Vec<String> = keys.iter().map(|key| format!("SET '_lock{key}' another")).collect();
        say(server.port(), &locks.join("\r\n"));
        thread::scope(|scope| {
            let region = &region;
            let waiting: Vec<_> =
                keys.iter().map(|key| scope.spawn(|| region.get_or_create(key, || 1).unwrap())).collect();
            until("the limit is reached", || all_listeners(&server) == 16);
            let locks: Vec<String> = keys.iter().map(|key| format!("DEL '_lock{key}'")).collect();
            say(server.port(), &locks.join("\r\n"));
            waiting.into_iter().for_each(|waiter| assert_eq!(waiter.join().unwrap(), 1));
        });
        until("all subscriptions are closed", || all_listeners(&server) == 0);
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn user_without_channel_rights_waits_and_releases() {
    bounded(|| {
        let user = ["--user", "tester", "on", ">0123", "~*", "resetchannels", "+@all"];
        let server = server(&user);
        let config = || config(&server).argument("username", "tester").argument("password", "0123");
        let (held, wanted) = (mutex(config(), "key"), mutex(config(), "key"));
        for attempts in [1, 0] {
            assert!(held.try_acquire().unwrap());
            say(server.port(), "CONFIG RESETSTAT");
            while_waiting(&*wanted, || {
                until("it has polled often", || count(server.port(), "set") >= 60);
                held.release().unwrap();
            });
            // After one refusal, the backend does not try to subscribe again.
            assert_eq!(refused_subscriptions(&server), attempts);
        }
        assert_eq!(say(server.port(), "EXISTS _lockkey"), ":0\r\n");
    });
}

pub(super) fn refused_subscriptions(server: &RedisServer) -> usize {
    let reply = say(server.port(), "INFO commandstats");
    let line = reply.lines().find(|line| line.starts_with("cmdstat_subscribe:")).unwrap_or_default();
    line.rsplit_once("rejected_calls=")
        .map_or(0, |(_, rest)| rest.split(',').next().unwrap().parse().unwrap())
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn without_lock_wakeup_nothing_is_published_or_subscribed() {
    bounded(|| {
        let server = server(&[]);
        let config = || config(&server).argument("lock_wakeup", false);
        let (held, wanted) = (mutex(config(), "key"), mutex(config(), "key"));
        assert!(held.try_acquire().unwrap());
        while_waiting(&*wanted, || {
            // With `lock_wakeup`, a waiter subscribes after a third of these polls.
            until("it has polled often", || count(server.port(), "set") >= 60);
            held.release().unwrap();
        });
        assert_eq!((count(server.port(), "subscribe"), count(server.port(), "publish")), (0, 0));
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn waiter_with_closed_subscription_keeps_polling() {
    bounded(|| {
        let server = server(&[]);
        let (held, wanted) = (mutex(config(&server), "key"), mutex(config(&server), "key"));
        assert!(held.try_acquire().unwrap());
        while_waiting(&*wanted, || {
            until("the waiter is subscribed", || listeners(&server, "key") == 1);
            say(server.port(), "CLIENT KILL TYPE pubsub");
            until("the subscription is gone", || listeners(&server, "key") == 0);
            held.release().unwrap();
        });
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn expired_lock_is_acquired_by_subscribed_waiters() {
    bounded(|| {
        let server = server(&[]);
        let region = region(&server);
        say(server.port(), "SET _lockkey gone PX 300");
        assert_eq!(together(4, |_| region.get_or_create("key", || 7).unwrap()), [7; 4]);
        assert!(count(server.port(), "subscribe") >= 1);
    });
}
