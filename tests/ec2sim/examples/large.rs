//! Measures a large world: 10,000 images in each of 20 regions, listed in pages of 1,000 with a filter by tag.
//!
//! `cargo run --release -p ec2sim --example large`

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement may stop at what it does not expect, and says what it found"
)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ec2sim::{Config, ManualClock, Params, Request, SeedImage, Service, Sim};

const ACCOUNT: &str = "111111111111";
const REGIONS: usize = 20;
const IMAGES: usize = 10_000;
const PAGE: usize = 1_000;

fn main() {
    let clock = ManualClock::new("2026-11-24T09:00:00Z".parse().unwrap());
    let sim = Sim::new(Config::default(), clock.clock());
    let regions: Vec<String> = sim.opt_ins().into_iter().map(|(region, _)| region).take(REGIONS).collect();

    let begin = Instant::now();
    for region in &regions {
        sim.set_opt_in(region, ec2sim::OptIn::OptedIn).unwrap();
        (0..IMAGES).for_each(|number| seed(&sim, region, number));
    }
    println!("{} images in {} regions, put in within {:.1?}", regions.len() * IMAGES, regions.len(), begin.elapsed());

    let mut times = Vec::new();
    let mut found = 0;
    let before = processor();
    for region in &regions {
        let mut token = None;
        loop {
            let request = page(region, token.as_deref());
            let begin = Instant::now();
            let answer = sim.handle(&request).answer.unwrap();
            times.push(begin.elapsed());
            assert_eq!(answer.status, 200, "{}", answer.body);
            found += answer.body.matches("<imageId>").count();
            token = between(&answer.body, "<nextToken>", "</nextToken>");
            if token.is_none() {
                break;
            }
        }
    }
    assert_eq!(found, regions.len() * IMAGES);
    let worked = processor().zip(before).map(|(after, before)| after - before);
    times.sort_unstable();
    println!(
        "{} pages of {PAGE} by tag: median {:.2?}, p99 {:.2?}, slowest {:.2?}",
        times.len(),
        percentile(&times, 50),
        percentile(&times, 99),
        percentile(&times, 100)
    );
    if let Some(worked) = worked {
        let pages = u32::try_from(times.len()).unwrap();
        println!("of which the processor worked {:.2?} a page", worked / pages);
    }

    let rare = [("Filter.2.Name", "tag:amiops/version"), ("Filter.2.Value.1", "9999")];
    let mut times: Vec<Duration> = regions
        .iter()
        .map(|region| {
            let mut request = page(region, None);
            add(&mut request, &rare);
            let begin = Instant::now();
            sim.handle(&request).answer.unwrap();
            begin.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!(
        "one image of {IMAGES} by tag: median {:.2?}, slowest {:.2?}",
        percentile(&times, 50),
        percentile(&times, 100)
    );
    println!("resident memory: {}", resident());
}

/// An image like those that the controller makes: its tags are on its snapshot too.
fn seed(sim: &Sim, region: &str, number: usize) {
    let tags = [
        ("Name".to_owned(), format!("golden-web-{number}")),
        ("amiops/owner".to_owned(), "default/golden-web".to_owned()),
        ("amiops/version".to_owned(), number.to_string()),
        ("amiops/cluster".to_owned(), "production-1".to_owned()),
    ];
    let image = SeedImage {
        region: region.to_owned(),
        name: Some(format!("golden-web-{number}")),
        tags: BTreeMap::from(tags),
        ..SeedImage::default()
    };
    sim.seed_image(image).unwrap();
}

fn page(region: &str, token: Option<&str>) -> Request {
    let mut request = Request {
        service: Service::Ec2,
        region: region.to_owned(),
        access_key: ACCOUNT.to_owned(),
        operation: "DescribeImages".to_owned(),
        params: Params::Query(BTreeMap::new()),
    };
    let size = PAGE.to_string();
    add(
        &mut request,
        &[
            ("Owner.1", "self"),
            ("Filter.1.Name", "tag:amiops/owner"),
            ("Filter.1.Value.1", "default/golden-web"),
            ("MaxResults", &size),
        ],
    );
    if let Some(token) = token {
        add(&mut request, &[("NextToken", token)]);
    }
    request
}

fn add(request: &mut Request, pairs: &[(&str, &str)]) {
    if let Params::Query(params) = &mut request.params {
        params.extend(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    }
}

fn between(text: &str, open: &str, close: &str) -> Option<String> {
    let (_, rest) = text.split_once(open)?;
    Some(rest.split_once(close)?.0.to_owned())
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let last = sorted.len() - 1;
    sorted[(last * percent).div_ceil(100)]
}

/// How long the processor has worked for this thread, as Linux says: on a busy machine the clock says more.
fn processor() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// What Linux says; other systems do not.
fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: Option<u64> = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    kib.map_or("unknown".to_owned(), |kib| format!("{} MiB", kib / 1024))
}
