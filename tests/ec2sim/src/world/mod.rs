//! The simulated AWS: a state machine over explicit time. It does no I/O and never asks what time it is.

mod agenda;
mod allowed_images;
mod ancestry;
mod attributes;
mod buckets;
mod copies;
mod create_image;
mod create_snapshots;
mod devices;
mod dispatch;
mod dump;
mod ebs_defaults;
mod filters;
mod ids;
pub(crate) mod image;
mod image_filters;
mod images;
mod instance;
mod instance_attributes;
mod instance_filters;
mod instance_status;
mod instance_types;
mod instances;
mod key_pairs;
mod kms;
mod launch;
mod launch_template;
mod launch_template_versions;
mod launch_templates;
mod lifecycle;
mod machine;
mod network;
mod organizations;
mod paging;
mod performance;
mod permissions;
mod plain;
mod public_access;
mod recycle_bin;
mod references;
mod region;
mod regions;
mod register_image;
mod security_groups;
mod seed;
mod shelf;
mod snapshot;
mod snapshot_attributes;
mod snapshots;
mod ssm;
pub(crate) mod sts;
mod tag_set;
mod tags;
mod tokens;
mod usage_reports;
mod view;
mod volume;
mod volumes;
mod zones;

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::calls::{self, Call, CallLog};
use crate::config::Config;
use crate::error::ApiError;
use crate::faults::{self, CallKey, Effect, Faults};
use crate::request::{Answer, Context, Outcome, Request};
use crate::wire;
use agenda::Agenda;
use buckets::Buckets;
use ids::Ids;
use machine::Machines;
use region::Region;
use sts::Session;

pub use image::ImageState;
pub use machine::Machine;
pub use organizations::Membership;
pub use recycle_bin::RetentionRule;
pub use region::OptIn;
pub use seed::{SeedImage, SeedInstance, SeedKey, SeedLaunchTemplate};
pub use view::{ImageView, ParameterView, RegionView, SnapshotView, UseView};

/// All of AWS that there is.
#[derive(Debug)]
pub struct World {
    pub(crate) config: Config,
    pub(crate) faults: Faults,
    pub(crate) calls: CallLog,
    ids: Ids,
    regions: BTreeMap<String, Region>,
    agenda: Agenda,
    buckets: Buckets,
    machines: Machines,
    /// Where accounts are in organisations.
    memberships: BTreeMap<String, Membership>,
    /// The access keys that AssumeRole has given out.
    issued: BTreeMap<String, Session>,
    now: Timestamp,
}

impl World {
    /// A world without images.
    pub fn new(config: Config) -> Self {
        Self {
            ids: Ids::new(config.seed),
            config,
            faults: Faults::default(),
            calls: CallLog::default(),
            regions: regions::all(),
            agenda: Agenda::default(),
            buckets: Buckets::default(),
            machines: Machines::default(),
            memberships: BTreeMap::new(),
            issued: BTreeMap::new(),
            now: Timestamp::MIN,
        }
    }

    /// Answers one call at one moment. Time does not run backwards: an earlier moment counts as the last one.
    pub fn handle(&mut self, now: Timestamp, request: &Request) -> Outcome {
        let now = self.advance_to(now);
        let caller = self.identity(&request.access_key);
        let key = CallKey {
            service: request.service,
            operation: &request.operation,
            region: &request.region,
            account: &caller.account,
            params: &request.params,
        };
        let verdict = self.faults.meet(&key);
        let mut cx = Context {
            now,
            region: request.region.clone(),
            account: caller.account.clone(),
            principals: self.principals(&caller.account),
            caller,
            fail_copy: None,
        };
        let over_limit = |buckets: &mut Buckets| !buckets.take(&cx, request);
        let effect = match verdict.effect {
            None | Some(Effect::Delay(_)) if self.config.request_limits && over_limit(&mut self.buckets) => {
                Some(Effect::Throttle)
            }
            other => other,
        };
        let (code, answer) = match effect {
            Some(Effect::DropRequest) => ("DroppedRequest".to_owned(), None),
            Some(Effect::RegionDown) => ("RegionDown".to_owned(), None),
            Some(Effect::DropReply) => {
                self.execute(&cx, request);
                ("DroppedReply".to_owned(), None)
            }
            Some(Effect::InternalError) => {
                self.execute(&cx, request);
                self.refuse(request, &faults::internal(request.service))
            }
            Some(Effect::Throttle) => self.refuse(request, &faults::throttled(request.service)),
            Some(Effect::Deny) => {
                let error = faults::denied(request.service, &cx.caller.arn, &request.operation);
                self.refuse(request, &error)
            }
            Some(Effect::Error { code, message, status }) => {
                self.refuse(request, &ApiError::new(code, message).with_status(status))
            }
            Some(Effect::FailCopy { reason }) => {
                cx.fail_copy = Some(reason);
                self.execute(&cx, request)
            }
            Some(Effect::Delay(_)) | None => self.execute(&cx, request),
        };
        self.log(&cx, request, code);
        Outcome { delay: verdict.delay, answer }
    }

    /// Moves to a moment and lets happen what was due until then.
    pub(crate) fn advance_to(&mut self, now: Timestamp) -> Timestamp {
        self.now = self.now.max(now);
        self.settle(self.now);
        self.now
    }

    fn execute(&mut self, cx: &Context, request: &Request) -> (String, Option<Answer>) {
        match self.dispatch(cx, request) {
            Ok(reply) => {
                let request_id = self.ids.uuid();
                let answer = wire::render(request.service, &request.operation, reply, &request_id);
                ("OK".to_owned(), Some(answer))
            }
            Err(error) => self.refuse(request, &error),
        }
    }

    fn refuse(&mut self, request: &Request, error: &ApiError) -> (String, Option<Answer>) {
        let request_id = self.ids.uuid();
        (error.code.to_string(), Some(wire::render_error(request.service, error, &request_id)))
    }

    fn log(&mut self, cx: &Context, request: &Request, code: String) {
        self.calls.add(Call {
            time: cx.now,
            service: request.service,
            operation: request.operation.clone(),
            region: cx.region.clone(),
            account: cx.account.clone(),
            access_key: request.access_key.clone(),
            code,
            params: calls::summary(&request.params),
        });
    }
}
