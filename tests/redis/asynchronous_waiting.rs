//! Tasks that wait for a lock on the server are notified of its release, over one connection, and also poll.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dogpile::RegionConfig;
use dogpile::sdk::{CacheMutex, Pending};
use dogpile_tests::redis::{ClusterServers, REDIS, RedisServer, SERVICE, SentinelServers};
use dogpile_tests::threads::{bounded, until};
use tokio::runtime::Builder;

use super::waiting::{all_listeners, listeners, listeners_on, mutex, refused_subscriptions};
use super::{config, count, region, say, server};

/// Begins to wait for a mutex, for longer than any test takes.
fn wait(mutex: &Arc<dyn CacheMutex>) -> Pending<bool> {
    let operations = mutex.operations().expect("it has asynchronous calls");
    let deadline = Instant::now() + Duration::from_secs(600);
    Pending::begin(|completion| operations.begin_acquire_until(deadline, completion))
}

/// Waits until the mutex is acquired, and releases it again without blocking.
fn acquired_and_released(mutex: &Arc<dyn CacheMutex>, waiting: Pending<bool>) {
    let operations = mutex.operations().expect("it has asynchronous calls");
    Builder::new_current_thread().build().unwrap().block_on(async {
        assert!(waiting.await.unwrap());
        Pending::begin(|completion| operations.begin_release(completion)).await.unwrap();
    });
}

/// Returns the number of connections that receive messages.
fn connections(server: &RedisServer) -> usize {
    say(server.port(), "CLIENT LIST TYPE pubsub").matches(" addr=").count()
}

/// Returns the configuration of a region whose waiters poll less and less often.
fn patient(server: &RedisServer) -> RegionConfig {
    config(server).argument("lock_sleep", 3600.0)
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn each_notification_makes_a_task_poll_and_the_last_one_acquire() {
    bounded(|| {
        let server = server(&[]);
        // Pauses grow with the wait: without notifications, a waiter polls about 200 times in half a minute.
        let wanted = mutex(patient(&server), "key");
        say(server.port(), "SET _lockkey another");
        let waiting = wait(&wanted);
        until("the task is subscribed", || listeners(&server, "key") == 1);
        say(server.port(), "CONFIG RESETSTAT");
        say(server.port(), &["PUBLISH _lockkey:released x"; 500].join("\r\n"));
        // Messages that arrive during a poll cause one poll together.
        until("the task has polled", || count(server.port(), "set") >= 1);
        for polls in (50..).step_by(50).take(10) {
            until("the task polls when notified", || {
                say(server.port(), "PUBLISH _lockkey:released x");
                count(server.port(), "set") >= polls
            });
        }
        say(server.port(), "DEL _lockkey\r\nPUBLISH _lockkey:released x");
        acquired_and_released(&wanted, waiting);
        until("nothing is subscribed to", || connections(&server) == 0);
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn release_by_a_thread_or_a_task_notifies_waiting_tasks() {
    bounded(|| {
        let server = server(&[]);
        let (held, wanted) = (mutex(patient(&server), "key"), mutex(patient(&server), "key"));
        for is_released_by_task in [false, true] {
            assert!(held.try_acquire().unwrap());
            let waiting = wait(&wanted);
            until("the task is subscribed", || listeners(&server, "key") == 1);
            let published = count(server.port(), "publish");
            if is_released_by_task {
                let operations = held.operations().unwrap();
                let releasing = Pending::begin(|completion| operations.begin_release(completion));
                Builder::new_current_thread().build().unwrap().block_on(releasing).unwrap();
            } else {
                held.release().unwrap();
            }
            acquired_and_released(&wanted, waiting);
            assert_eq!(count(server.port(), "publish"), published + 2);
        }
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn waiting_tasks_of_a_process_share_one_connection() {
    bounded(|| {
        let server = server(&[]);
        let region = region(&server);
        let keys: Vec<String> = (0..40).map(|number| format!("key {number}")).collect();
        let mutexes: Vec<_> =
            keys.iter().map(|key| region.backend().unwrap().get_mutex(key).unwrap()).collect();
        let each = |command: &str, end: &str| {
            let commands = keys.iter().map(|key| format!("{command} '_lock{key}{end}'"));
            say(server.port(), &commands.collect::<Vec<_>>().join("\r\n"));
        };
        keys.iter().for_each(|key| drop(say(server.port(), &format!("SET '_lock{key}' another"))));
        let waiting: Vec<_> = mutexes.iter().map(wait).collect();
        until("all tasks are subscribed", || {
            say(server.port(), "CLIENT LIST TYPE pubsub").contains(" sub=40 ")
        });
        assert_eq!(connections(&server), 1);
        each("DEL", "");
        mutexes.iter().zip(waiting).for_each(|(mutex, waiting)| acquired_and_released(mutex, waiting));
        until("the connection is closed", || connections(&server) == 0);
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn canceled_tasks_leave_no_subscription() {
    bounded(|| {
        let server = server(&[]);
        let region = region(&server);
        say(server.port(), "SET _lockone another\r\nSET _locktwo another");
        let [one, two] = ["one", "two"].map(|key| region.backend().unwrap().get_mutex(key).unwrap());
        let (first, second, last) = (wait(&one), wait(&one), wait(&two));
        until("both are subscribed", || listeners(&server, "one") + listeners(&server, "two") == 2);
        drop((first, second));
        until("the first one is not any more", || listeners(&server, "one") == 0);
        assert_eq!((listeners(&server, "two"), connections(&server)), (1, 1));
        drop(last);
        until("the connection is closed", || connections(&server) == 0);
        // A later wait subscribes again.
        let again = wait(&one);
        until("it is subscribed", || listeners(&server, "one") == 1);
        drop(again);
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn task_with_a_closed_subscription_polls_and_subscribes_again() {
    bounded(|| {
        let server = server(&[]);
        let wanted = mutex(config(&server), "key");
        say(server.port(), "SET _lockkey another");
        let waiting = wait(&wanted);
        until("the task is subscribed", || listeners(&server, "key") == 1);
        say(server.port(), "CLIENT KILL TYPE pubsub\r\nCONFIG RESETSTAT");
        until("the task polls", || count(server.port(), "set") >= 3);
        until("the task is subscribed again", || listeners(&server, "key") == 1);
        say(server.port(), "CLIENT KILL TYPE pubsub");
        // Nothing is published.
        say(server.port(), "DEL _lockkey");
        acquired_and_released(&wanted, waiting);
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn tasks_subscribe_in_a_cluster_and_through_sentinels() {
    bounded(|| {
        let cluster = ClusterServers::start(REDIS).unwrap();
        let address = |port: &u16| format!("127.0.0.1:{port}");
        let nodes: Vec<_> = cluster.ports().iter().map(address).collect();
        let config = RegionConfig::new("dogpile.cache.redis_cluster").argument("startup_nodes", nodes);
        one_server_notifies_task(config, &cluster.ports());
        let sentinels = SentinelServers::start(REDIS).unwrap();
        let addresses: Vec<_> = sentinels.sentinel_ports().iter().map(address).collect();
        let config = RegionConfig::new("dogpile.cache.redis_sentinel").argument("sentinels", addresses);
        one_server_notifies_task(config.argument("service_name", SERVICE), &[sentinels.master_port()]);
    });
}

/// Checks that a task subscribes on one of the servers only, and is notified there.
fn one_server_notifies_task(config: RegionConfig, ports: &[u16]) {
    let config = config.argument("distributed_lock", true).argument("lock_sleep", 3600.0);
    let (held, wanted) = (mutex(config.clone(), "key"), mutex(config, "key"));
    let listeners = || ports.iter().map(|port| listeners_on(*port, "key")).sum::<usize>();
    assert!(held.try_acquire().unwrap());
    let waiting = wait(&wanted);
    until("the task is subscribed", || listeners() == 1);
    held.release().unwrap();
    acquired_and_released(&wanted, waiting);
    until("the task has unsubscribed", || listeners() == 0);
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn tasks_without_channel_rights_poll() {
    bounded(|| {
        let user = ["--user", "tester", "on", ">0123", "~*", "resetchannels", "+@all"];
        let server = server(&user);
        let config = || config(&server).argument("username", "tester").argument("password", "0123");
        let (held, wanted) = (mutex(config(), "key"), mutex(config(), "key"));
        for attempts in [1, 0] {
            assert!(held.try_acquire().unwrap());
            say(server.port(), "CONFIG RESETSTAT");
            let waiting = wait(&wanted);
            until("it has polled often", || count(server.port(), "set") >= 60);
            held.release().unwrap();
            acquired_and_released(&wanted, waiting);
            // After one refusal, tasks do not try to subscribe again.
            assert_eq!(refused_subscriptions(&server), attempts);
        }
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn without_lock_wakeup_tasks_only_poll() {
    bounded(|| {
        let server = server(&[]);
        let wanted = mutex(config(&server).argument("lock_wakeup", false), "key");
        say(server.port(), "SET _lockkey another");
        let waiting = wait(&wanted);
        // With `lock_wakeup`, a task subscribes after a third of these polls.
        until("it has polled often", || count(server.port(), "set") >= 60);
        say(server.port(), "DEL _lockkey");
        acquired_and_released(&wanted, waiting);
        assert_eq!((count(server.port(), "subscribe"), all_listeners(&server)), (0, 0));
    });
}
