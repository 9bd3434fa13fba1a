//! How many queries the database gets for many requests.

use std::time::Duration;

use dogpile_tests::redis::RedisServer;
use libtest_mimic::Trial;

use crate::http::{Reply, clients, get, get_all, request, send};
use crate::instance::Instance;
use crate::{alone, with_redis};

const REQUESTS: usize = 200;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        with_redis("cold_key_is_queried_once", cold_key_is_queried_once),
        with_redis("instances_share_one_query", instances_share_one_query),
        with_redis("unknown_product_is_queried_once", unknown_product_is_queried_once),
        with_redis("query_outlives_its_client", query_outlives_its_client),
        with_redis(
            "busy_database_fails_all_its_waiters_at_once",
            busy_database_fails_all_its_waiters_at_once,
        ),
        alone("regions_in_memory_need_no_server", regions_in_memory_need_no_server),
        alone("prometheus_scrapes_each_request", prometheus_scrapes_each_request),
        alone("client_learns_how_the_cache_was_used", client_learns_how_the_cache_was_used),
    ]
}

fn assert_all(replies: &[Reply], status: u16, body: &str) {
    for reply in replies {
        assert!(reply.status == status && reply.body == body, "{reply:?}");
    }
}

fn cold_key_is_queried_once(server: &mut RedisServer) {
    const PRODUCT: &str = r#"{"id":7,"name":"tea no. 7","cents":307}"#;
    let instance = Instance::over(server);
    let address = instance.address();
    clients(async {
        for queries in 1..=2 {
            assert_all(&get_all(address, ["/products/7"; REQUESTS]).await, 200, PRODUCT);
            assert_eq!(instance.queries().await, queries);
            // These are hits.
            assert_all(&get_all(address, ["/products/7"; REQUESTS]).await, 200, PRODUCT);
            assert_eq!(instance.queries().await, queries);
            assert_eq!(request(address, "DELETE", "/cache/products/7").await.status, 204);
        }
    });
}

fn instances_share_one_query(server: &mut RedisServer) {
    let instances = [Instance::over(server), Instance::over(server)];
    clients(async {
        let [one, two] = [0, 1].map(|number| instances[number].address());
        let (of_one, of_two) = tokio::join!(
            get_all(one, ["/products/7"; REQUESTS / 2]),
            get_all(two, ["/products/7"; REQUESTS / 2])
        );
        assert!(of_one.iter().chain(&of_two).all(|reply| reply.status == 200));
        assert_eq!(instances[0].queries().await + instances[1].queries().await, 1);
    });
}

fn unknown_product_is_queried_once(server: &mut RedisServer) {
    let instance = Instance::over(server);
    clients(async {
        assert_all(&get_all(instance.address(), ["/products/0"; REQUESTS]).await, 404, "not found");
        assert_eq!(instance.queries().await, 1);
    });
}

/// The client closes its connection, and axum drops its request.
fn query_outlives_its_client(server: &mut RedisServer) {
    let instance = Instance::over(server);
    clients(async {
        let connection = send(instance.address(), "GET", "/products/7").await;
        instance.until_queries(1).await;
        drop(connection);
        assert_eq!(get(instance.address(), "/products/7").await.status, 200);
        assert_eq!(instance.queries().await, 1);
    });
}

/// All connections to the database are in use. One request for a product waits for one, and all others for that request.
fn busy_database_fails_all_its_waiters_at_once(server: &mut RedisServer) {
    let instance = Instance::with_queries_of(Duration::from_secs(6), server);
    let address = instance.address();
    clients(async {
        let slow = tokio::spawn(get_all(address, (1..=4).map(|id| format!("/products/{id}"))));
        instance.until_queries(4).await;
        let replies = get_all(address, ["/products/7"; REQUESTS]).await;
        // In turn, they would wait for a second each.
        assert!(!slow.is_finished(), "they failed before a connection was free");
        assert_all(&replies, 503, "the database is busy");
        assert!(replies.iter().all(|reply| reply.head.contains("retry-after: 1")));
        // A cached function tries by itself once more, and then reports the failure, too.
        let rates = get_all(address, ["/rates/USD"; REQUESTS]).await;
        assert!(!slow.is_finished(), "they failed before a connection was free");
        assert_all(&rates, 503, "the database is busy");
        assert!(slow.await.unwrap().iter().all(|reply| reply.status == 200));
        // A failure is not cached.
        assert_eq!(get(address, "/products/7").await.status, 200);
        assert_eq!(instance.queries().await, 5);
    });
}

fn regions_in_memory_need_no_server() {
    let instance = Instance::with_file("memory.toml");
    let address = instance.address();
    clients(async {
        assert_all(&get_all(address, ["/rates/USD"; REQUESTS]).await, 200, "1.16");
        assert_eq!(instance.queries().await, 1);
        assert!(get_all(address, ["/products/7"; REQUESTS]).await.iter().all(|reply| reply.status == 200));
        assert_eq!(instance.queries().await, 2);
        assert_eq!(request(address, "DELETE", "/cache/rates/USD").await.status, 204);
        assert_all(&get_all(address, ["/rates/USD"; REQUESTS]).await, 200, "1.16");
        assert_eq!(instance.queries().await, 3);
        assert_eq!(get(address, "/rates/XXX").await.status, 404);
    });
}

fn prometheus_scrapes_each_request() {
    let instance = Instance::with_file("memory.toml");
    let address = instance.address();
    clients(async {
        get_all(address, ["/products/7"; REQUESTS]).await;
        get_all(address, ["/rates/USD"; REQUESTS]).await;
        let scraped = get(address, "/metrics").await;
        assert!(scraped.status == 200 && scraped.head.contains("content-type: text/plain; version=0.0.4"));
        for region in ["products", "rates"] {
            let prefix = format!("dogpile_requests_total{{region=\"{region}\",outcome=");
            let of_region = scraped.body.lines().filter_map(|line| line.strip_prefix(&prefix));
            let counts = of_region.map(|line| line.rsplit_once(' ').unwrap().1.parse::<usize>().unwrap());
            assert_eq!(counts.sum::<usize>(), REQUESTS, "{region}: {}", scraped.body);
            let created = format!("{prefix}\"created\"}} 1\n");
            assert!(scraped.body.contains(&created), "{created} is missing: {}", scraped.body);
        }
    });
}

fn client_learns_how_the_cache_was_used() {
    let instance = Instance::with_file("memory.toml");
    let address = instance.address();
    clients(async {
        let replies = get_all(address, ["/products/7"; REQUESTS]).await;
        let with = |status: &str| {
            let header = format!("cache-status: shop; {status}");
            replies.iter().filter(|reply| reply.head.lines().any(|line| line == header)).count()
        };
        let (created, waited, hits) = (with("fwd=miss; stored"), with("fwd=miss; collapsed"), with("hit"));
        assert_eq!((created, created + waited + hits), (1, REQUESTS), "{waited} waited, {hits} hits");
        assert!(get(address, "/products/7").await.head.contains("cache-status: shop; hit\r\n"));
    });
}
