//! The Redis server is killed, frozen, and restarted under load.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use dogpile_tests::redis::RedisServer;
use libtest_mimic::Trial;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::http::{Reply, clients, get, get_all};
use crate::instance::Instance;
use crate::{SLACK, SOCKET_TIMEOUT, with_redis};

const REQUESTS: usize = 200;

/// The time of a query.
const QUERY: Duration = Duration::from_secs(1);

/// The longest time of a request while Redis is frozen: a query, two exchanges, and [`SLACK`].
const LONGEST: Duration = QUERY.saturating_add(SOCKET_TIMEOUT.saturating_mul(2)).saturating_add(SLACK);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        with_redis("killed_redis_fails_requests_at_once", killed_redis_fails_requests_at_once),
        with_redis("frozen_redis_fails_requests_in_time", frozen_redis_fails_requests_in_time),
        with_redis(
            "redis_that_dies_during_a_query_costs_nothing",
            redis_that_dies_during_a_query_costs_nothing,
        ),
        with_redis("restarted_redis_costs_no_request", restarted_redis_costs_no_request),
        with_redis("no_request_hangs_through_all_outages", no_request_hangs_through_all_outages),
    ]
}

/// Returns paths of products, for as many requests as there are in all: half of them for 7, and half for 8.
fn two_products() -> impl Iterator<Item = &'static str> {
    ["/products/7", "/products/8"].into_iter().cycle().take(REQUESTS)
}

/// Asserts that each reply is a product, or reports that the cache is unavailable.
fn assert_documented(replies: &[Reply]) {
    for reply in replies {
        let is_unavailable = reply.status == 503
            && reply.body == "the cache is unavailable"
            && reply.head.contains("retry-after: 1");
        assert!(reply.status == 200 || is_unavailable, "{reply:?}");
        assert!(reply.took < LONGEST, "{reply:?}");
    }
}

fn assert_statuses(replies: &[Reply], status: u16) {
    assert_documented(replies);
    assert!(replies.iter().all(|reply| reply.status == status), "{replies:?}");
}

/// Asserts that each reply reports that the cache is unavailable, after one exchange with the server.
fn assert_unavailable(replies: &[Reply]) {
    assert_statuses(replies, 503);
    assert!(replies.iter().all(|reply| reply.took < SOCKET_TIMEOUT + SLACK), "{replies:?}");
}

/// Asserts that a route without the cache, and a route whose region is in memory, reply at once.
async fn assert_prompt(address: SocketAddr) {
    for path in ["/health", "/rates/USD"] {
        let reply = get(address, path).await;
        // If requests blocked the threads that serve them, this one would wait for many of them.
        assert!(reply.status == 200 && reply.took < SOCKET_TIMEOUT, "{path}: {reply:?}");
    }
}

/// Asserts that the server serves a new product, and serves it again without a query.
async fn assert_works(instance: &Instance, path: &str) {
    let before = instance.queries().await;
    for _ in 0..2 {
        assert_statuses(&get_all(instance.address(), [path; REQUESTS]).await, 200);
        assert_eq!(instance.queries().await, before + 1);
    }
}

fn killed_redis_fails_requests_at_once(server: &mut RedisServer) {
    let instance = Instance::with_queries_of(QUERY, server);
    let address = instance.address();
    clients(async {
        assert_eq!(get(address, "/products/7").await.status, 200);
        assert_eq!(get(address, "/rates/USD").await.status, 200);
        server.kill();
        let replies = get_all(address, two_products()).await;
        assert_unavailable(&replies);
        assert_prompt(address).await;
        assert_eq!(instance.queries().await, 2, "the database is spared");
        server.start_again();
        assert_works(&instance, "/products/7").await;
    });
}

fn frozen_redis_fails_requests_in_time(server: &mut RedisServer) {
    let instance = Instance::with_queries_of(QUERY, server);
    let address = instance.address();
    clients(async {
        assert_eq!(get(address, "/products/7").await.status, 200);
        assert_eq!(get(address, "/rates/USD").await.status, 200);
        server.process().stop();
        for _ in 0..2 {
            let requests = tokio::spawn(get_all(address, two_products()));
            let mut prompt = 0;
            while !requests.is_finished() {
                assert_prompt(address).await;
                prompt += 1;
                sleep(Duration::from_millis(20)).await;
            }
            assert!(prompt > 2, "requests waited for Redis while the others were served");
            assert_unavailable(&requests.await.unwrap());
        }
        assert_eq!(instance.queries().await, 2, "the database is spared");
        server.process().go_on();
        assert_statuses(&get_all(address, ["/products/7"; REQUESTS]).await, 200);
        assert_eq!(instance.queries().await, 2, "the value is still there");
        assert_works(&instance, "/products/8").await;
    });
}

/// The value cannot be stored, but those that wait for it get it.
fn redis_that_dies_during_a_query_costs_nothing(server: &mut RedisServer) {
    for is_killed in [false, true] {
        let instance = Instance::with_queries_of(QUERY, server);
        let (address, path) = (instance.address(), if is_killed { "/products/8" } else { "/products/7" });
        clients(async {
            let waiting = tokio::spawn(get_all(address, [path; REQUESTS]));
            instance.until_queries(1).await;
            if is_killed {
                server.kill();
            } else {
                server.process().stop();
            }
            let replies = waiting.await.unwrap();
            assert_documented(&replies);
            // Those that came too late could not read from Redis.
            assert!(replies.iter().any(|reply| reply.status == 200));
            assert_eq!(instance.queries().await, 1);
            if is_killed {
                server.start_again();
            } else {
                server.process().go_on();
            }
            assert_works(&instance, "/products/9").await;
        });
    }
}

/// The connections of the service are broken, and it opens new ones.
fn restarted_redis_costs_no_request(server: &mut RedisServer) {
    let instance = Instance::with_queries_of(QUERY, server);
    clients(async {
        assert_works(&instance, "/products/7").await;
        server.start_again();
        assert_works(&instance, "/products/7").await;
    });
}

fn no_request_hangs_through_all_outages(server: &mut RedisServer) {
    let instance = Instance::with_queries_of(QUERY, server);
    let address = instance.address();
    clients(async {
        assert_eq!(get(address, "/rates/USD").await.status, 200);
        let is_over = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for number in 0..REQUESTS {
            clients.spawn(request_until(
                Arc::clone(&is_over),
                address,
                format!("/products/{}", number % 3 + 1),
            ));
        }
        server.kill();
        sleep(QUERY).await;
        server.start_again();
        sleep(QUERY).await;
        server.process().stop();
        assert_prompt(address).await;
        sleep(SOCKET_TIMEOUT).await;
        server.process().go_on();
        sleep(QUERY).await;
        is_over.store(true, SeqCst);
        let mut statuses = BTreeMap::new();
        for replies in clients.join_all().await {
            assert_documented(&replies);
            replies.iter().for_each(|reply| *statuses.entry(reply.status).or_insert(0) += 1);
        }
        assert!(statuses.len() == 2, "{statuses:?}");
        assert_works(&instance, "/products/9").await;
    });
}

/// Makes one request after the other until `is_over`, and returns all replies.
async fn request_until(is_over: Arc<AtomicBool>, address: SocketAddr, path: String) -> Vec<Reply> {
    let mut replies = Vec::new();
    while !is_over.load(SeqCst) {
        replies.push(get(address, &path).await);
        sleep(Duration::from_millis(100)).await;
    }
    replies
}
