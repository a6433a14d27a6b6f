//! The source kind `reso` with an independent OData server (SAP's), behind a proxy that rejects every third
//! request.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;
use windrow_client::proto;
use windrow_server::clock::SystemClock;
use windrow_server::supervisor::Supervisor;

use crate::support::{Windrow, job, source_of};
use proto::{ListingType, ScrapingJobStatus as Status};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/scripts/reso");
/// Kept between test runs, and created again when the packages change.
const HOME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/odata");
const LISTINGS: i64 = 300;

/// The OData server. Killed when dropped.
struct OData {
    child: Child,
    root: String,
}

impl OData {
    fn start() -> Self {
        install();
        let mut child = Command::new(node())
            .args(["server.js", &LISTINGS.to_string()])
            .current_dir(HOME)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines
            .find_map(|line| Some(line.unwrap().strip_prefix("listening on ")?.to_owned()))
            .expect("the OData server does not listen");
        // Read to the end, or the server would wait for a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, root: format!("http://127.0.0.1:{port}/reso/odata") }
    }

    /// Changes a listing, now.
    async fn change(&self, client: &reqwest::Client, number: i64) {
        let now = SystemClock::uncorrected().to_rfc3339();
        let change = json!({ "ListPrice": 1, "ModificationTimestamp": now });
        let answer = client
            .patch(format!("{}/Property('L{number:05}')", self.root))
            .header("content-type", "application/json")
            .body(change.to_string())
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }
}

impl Drop for OData {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The Node that came with the packages, for the system's may be too old; else the system's.
fn node() -> String {
    let packaged =
        ["x64", "arm64"].map(|cpu| format!("{HOME}/node_modules/node-linux-{cpu}/bin/node"));
    let found = packaged.into_iter().find(|node| std::path::Path::new(node).is_file());
    found.unwrap_or_else(|| "node".to_owned())
}

fn install() {
    let wanted = std::fs::read_to_string(format!("{SCRIPTS}/package.json")).unwrap();
    let installed = format!("{HOME}/installed.json");
    std::fs::create_dir_all(HOME).unwrap();
    for file in ["package.json", "reso.cds", "server.js"] {
        std::fs::copy(format!("{SCRIPTS}/{file}"), format!("{HOME}/{file}")).unwrap();
    }
    if std::fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return;
    }
    let flags = ["install", "--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund"];
    let output = Command::new("npm").args(flags).current_dir(HOME).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::write(installed, wanted).unwrap();
}

/// A proxy whose every third answer is a refusal; returns its root and how often it refused.
async fn proxy(upstream: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let root = format!("http://{}/reso/odata", listener.local_addr().unwrap());
    let (requests, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (client, refusals) = (reqwest::Client::new(), Arc::clone(&refused));
    let origin = upstream.trim_end_matches("/reso/odata").to_owned();
    let app = Router::new().fallback(move |request: Request| {
        let (client, origin) = (client.clone(), origin.clone());
        let refuse = requests.fetch_add(1, Ordering::SeqCst) % 3 == 1;
        let often = if refuse { refusals.fetch_add(1, Ordering::SeqCst) } else { 0 };
        let uri = request.uri().to_string();
        async move {
            if refuse {
                let status =
                    [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE][often % 2];
                let answer = Response::builder().status(status).header("retry-after", "0");
                return answer.body(Body::from("busy")).unwrap();
            }
            let answer = client.get(format!("{origin}{uri}")).send().await.unwrap();
            let status = answer.status();
            Response::builder().status(status).body(answer.bytes().await.unwrap().into()).unwrap()
        }
    });
    Supervisor::default().work(async { axum::serve(listener, app).await.unwrap() });
    (root, refused)
}

async fn run(windrow: &Windrow, full_scrape: Option<bool>) -> proto::ScrapingJob {
    let overrides = proto::ScrapeParameters { full_scrape, ..Default::default() };
    let request = proto::TriggerJobRequest {
        job_id: "mls".to_owned(),
        overrides: Some(overrides),
        ..Default::default()
    };
    let made = windrow.trigger_as(request).await.unwrap();
    let ended = windrow.end(&made.job_id).await;
    assert_eq!(
        (ended.status(), ended.failed_locations.len()),
        (Status::Completed, 0),
        "{ended:#?}"
    );
    ended
}

fn counts(run: &proto::ScrapingJob) -> [i64; 4] {
    [
        run.properties_scraped,
        run.properties_inserted,
        run.properties_updated,
        run.properties_skipped,
    ]
}

#[tokio::test]
async fn listings_are_read_in_pages_and_then_only_changes() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let odata = tokio::task::spawn_blocking(OData::start).await.unwrap();
    let (root, refused) = proxy(odata.root.clone()).await;
    let windrow = Windrow::start_with(|config| {
        let settings = format!("kind = 'reso'\nurl = '{root}'\ntoken = 'x'\npage_size = 100");
        config.sources.insert("mls".to_owned(), source_of(&settings));
    })
    .await;
    let parameters = proto::ScrapeParameters {
        locations: vec!["Indianapolis, IN".to_owned(), "O'Fallon, IN".to_owned()],
        request_delay: Some(prost_types::Duration::default()),
        source: Some("mls".to_owned()),
        ..Default::default()
    };
    let scheduled = proto::ScheduledJob { parameters: Some(parameters), ..job("mls") };
    windrow.create_as(scheduled).await.unwrap();
    let client = reqwest::Client::new();

    let first = run(&windrow, None).await;
    for number in [0, 1, 50, 51, 150, 151, 299] {
        odata.change(&client, number).await;
    }
    let second = run(&windrow, None).await;
    let third = run(&windrow, None).await;
    let full = run(&windrow, Some(true)).await;
    let few = windrow
        .trigger_as(proto::TriggerJobRequest {
            job_id: "mls".to_owned(),
            overrides: Some(proto::ScrapeParameters {
                locations: vec!["46201".to_owned()],
                listing_types: vec![ListingType::ForRent.into()],
                limit: Some(10),
                ..Default::default()
            }),
            ..Default::default()
        })
        .await
        .unwrap();
    let few = windrow.end(&few.job_id).await;

    assert_eq!(counts(&first), [LISTINGS, LISTINGS, 0, 0]);
    assert_eq!(counts(&second), [7, 0, 7, 0], "only what changed is read");
    // What changed within five minutes before the last run's start is read again.
    assert_eq!(counts(&third), [7, 0, 0, 7]);
    assert_eq!(counts(&full), [LISTINGS, 0, 0, LISTINGS]);
    assert_eq!(counts(&few)[0], 10, "{few:#?}");
    assert!(refused.load(Ordering::SeqCst) > 4, "the proxy refused nothing");
    let request = proto::GetPropertyRequest {
        source: "mls".to_owned(),
        property_id: "L00050".to_owned(),
        limit: 0,
        ..Default::default()
    };
    let changes = windrow.client.raw().get_property(request).await.unwrap().changes;
    let fields: Vec<&str> = changes[0].fields.iter().map(|field| field.field.as_str()).collect();
    assert_eq!((changes.len(), fields), (1, vec!["ListPrice", "ModificationTimestamp"]));
    windrow.stop().await;
}
