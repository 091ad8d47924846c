//! A hand-made client: requests as a person would write them, answers as text.

use std::collections::BTreeMap;

use ec2sim::{Config, ManualClock, Params, Request, SeedImage, Service, Sim};
use jiff::SignedDuration;
use serde_json::Value;

pub(crate) const SOURCE_REGION: &str = "us-east-1";
pub(crate) const REGION: &str = "eu-west-1";
pub(crate) const ACCOUNT: &str = "111111111111";
pub(crate) const OTHER: &str = "222222222222";
pub(crate) const COPY_TIME: SignedDuration = SignedDuration::from_secs(60);

/// A world at a fixed moment, and its clock.
pub(crate) struct Fixture {
    pub(crate) sim: Sim,
    pub(crate) clock: ManualClock,
}

pub(crate) fn world() -> Fixture {
    world_with(|_| {})
}

pub(crate) fn world_with(change: impl FnOnce(&mut Config)) -> Fixture {
    let clock = ManualClock::new("2026-11-24T09:00:00Z".parse().unwrap());
    let mut config = Config { copy_time: COPY_TIME, ..Config::default() };
    change(&mut config);
    Fixture { sim: Sim::new(config, clock.clock()), clock }
}

impl Fixture {
    pub(crate) fn client(&self) -> Client {
        self.client_of(ACCOUNT, REGION)
    }

    pub(crate) fn client_of(&self, account: &str, region: &str) -> Client {
        Client { sim: self.sim.clone(), key: account.to_owned(), region: region.to_owned() }
    }

    /// An available image in the source region.
    pub(crate) fn source(&self) -> String {
        self.seed(SeedImage { name: Some("source".to_owned()), ..SeedImage::default() })
    }

    pub(crate) fn seed(&self, seed: SeedImage) -> String {
        self.sim.seed_image(seed).unwrap()
    }

    pub(crate) fn pass(&self, span: SignedDuration) {
        self.clock.advance(span);
    }
}

/// Calls as one account in one region.
pub(crate) struct Client {
    sim: Sim,
    key: String,
    region: String,
}

impl Client {
    pub(crate) fn ec2(&self, operation: &str, params: &[(&str, &str)]) -> Reply {
        self.query(Service::Ec2, operation, params)
    }

    pub(crate) fn sts(&self, operation: &str, params: &[(&str, &str)]) -> Reply {
        self.query(Service::Sts, operation, params)
    }

    pub(crate) fn ssm(&self, operation: &str, params: Value) -> Reply {
        self.call(Service::Ssm, operation, Params::Json(params))
    }

    pub(crate) fn kms(&self, operation: &str, params: Value) -> Reply {
        self.call(Service::Kms, operation, Params::Json(params))
    }

    /// Starts a copy and answers its id.
    pub(crate) fn copy(&self, source: &str, name: &str) -> String {
        self.try_copy(source, name, &[]).text("imageId")
    }

    pub(crate) fn try_copy(&self, source: &str, name: &str, more: &[(&str, &str)]) -> Reply {
        let mut params = vec![("SourceImageId", source), ("SourceRegion", SOURCE_REGION), ("Name", name)];
        params.extend(more);
        self.ec2("CopyImage", &params)
    }

    /// The state of an image.
    pub(crate) fn state(&self, image: &str) -> String {
        self.ec2("DescribeImages", &[("ImageId.1", image)]).text("imageState")
    }

    fn query(&self, service: Service, operation: &str, params: &[(&str, &str)]) -> Reply {
        let params: BTreeMap<String, String> =
            params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.call(service, operation, Params::Query(params))
    }

    fn call(&self, service: Service, operation: &str, params: Params) -> Reply {
        let request = Request {
            service,
            region: self.region.clone(),
            access_key: self.key.clone(),
            operation: operation.to_owned(),
            params,
        };
        match self.sim.handle(&request).answer {
            Some(answer) => Reply { status: answer.status, body: answer.body },
            None => Reply { status: 0, body: String::new() },
        }
    }
}

/// What came back; status 0 is a connection that was closed.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Reply {
    /// The text of the first element of that name.
    pub(crate) fn text(&self, name: &str) -> String {
        self.texts(name).first().unwrap_or_else(|| panic!("no <{name}> in {}", self.body)).clone()
    }

    /// The texts of all elements of that name.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let parts = self.body.split(&open).skip(1);
        parts.map(|part| part.split(&close).next().unwrap_or_default().to_owned()).collect()
    }

    /// The sentence of a refusal.
    pub(crate) fn message(&self) -> String {
        match serde_json::from_str::<Value>(&self.body) {
            Ok(value) => value["message"].as_str().unwrap_or_default().to_owned(),
            Err(_) => self.text("Message"),
        }
    }

    /// Its code, or `OK`.
    pub(crate) fn code(&self) -> String {
        if self.status == 200 {
            return "OK".to_owned();
        }
        match serde_json::from_str::<Value>(&self.body) {
            Ok(value) => value["__type"].as_str().unwrap_or_default().to_owned(),
            Err(_) => self.text("Code"),
        }
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }
}
