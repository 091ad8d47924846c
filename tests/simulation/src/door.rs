//! The door to AWS: every call passes it, is checked and written down, and may be the last that a controller makes.

use std::collections::BTreeMap;
use std::sync::Weak;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

use crate::doctor::Doctor;
use crate::world::{Thought, World};
use crate::{again, asked, checkers, hands, owed};

/// What the trace tells of a call.
const SUBJECTS: [&str; 7] = ["ImageId", "SourceImageId", "SnapshotId", "Name", "Names", "Value", "ClientToken"];

/// Nobody waits longer for an answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// A call to AWS, as far as checks need to know it.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) operation: String,
    pub(crate) region: String,
    pub(crate) parameters: BTreeMap<String, String>,
}

impl Call {
    /// The value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// The values of a list such as `ResourceId.1`, `ResourceId.2`.
    pub(crate) fn list(&self, prefix: &str) -> Vec<&str> {
        let numbered = |name: &str| name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'));
        self.parameters.iter().filter(|(name, _)| numbered(name)).map(|(_, value)| value.as_str()).collect()
    }

    /// What it is about: the values of some parameters, and the resources that are tagged.
    pub(crate) fn subject(&self, names: &[&str]) -> String {
        let named = names.iter().filter_map(|name| self.get(name));
        named.chain(self.list("ResourceId")).collect::<Vec<_>>().join(" ")
    }

    /// Whether it changes AWS.
    pub(crate) fn writes(&self) -> bool {
        !["Describe", "Get", "List"].iter().any(|read| self.operation.starts_with(read))
    }

    fn read(request: &HttpRequest) -> Option<Self> {
        let body = request.body().bytes().unwrap_or_default();
        let scope = request.headers().get("authorization")?.split("Credential=").nth(1)?.split('/').collect::<Vec<_>>();
        let region = (*scope.get(2)?).to_owned();
        if let Some(target) = request.headers().get("x-amz-target") {
            let operation = target.rsplit('.').next()?.to_owned();
            let body: serde_json::Value = serde_json::from_slice(body).ok()?;
            let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let parameters = body.as_object()?.iter().map(|(key, value)| (key.clone(), text(value))).collect();
            return Some(Self { operation, region, parameters });
        }
        let parameters: BTreeMap<_, _> = form_urlencoded::parse(body).into_owned().collect();
        Some(Self { operation: parameters.get("Action")?.clone(), region, parameters })
    }
}

/// The HTTP client to give to the program under test, which goes by a name where there is an election. It works for as long as
/// the process is there.
pub(crate) fn http_client(
    world: &World,
    by_hand: &SdkConfig,
    doctor: Option<Doctor>,
    candidate: Option<String>,
    process: Weak<()>,
) -> SharedHttpClient {
    let door = Door { world: world.clone(), by_hand: by_hand.clone(), doctor, candidate, process };
    let connector = SharedHttpConnector::new(door);
    http_client_fn(move |_, _| connector.clone())
}

#[derive(Clone)]
struct Door {
    world: World,
    /// The other door, for people.
    by_hand: SdkConfig,
    doctor: Option<Doctor>,
    candidate: Option<String>,
    /// The process that calls; what it leaves running ends with it.
    process: Weak<()>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Door")
    }
}

impl HttpConnector for Door {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { world, by_hand, doctor, candidate, process } = self.clone();
        HttpConnectorFuture::new(async move {
            let Some(call) = Call::read(&request) else {
                world.violation("a request to AWS that cannot be read".into());
                return std::future::pending().await;
            };
            if again::too_many(&world) || process.strong_count() == 0 {
                return std::future::pending().await;
            }
            // A doctored request is another call, and is checked as the one that AWS gets.
            let request = match doctor {
                Some(doctor) => doctor.request(&call, request),
                None => request,
            };
            let call = Call::read(&request).unwrap_or(call);
            world.called_by(candidate.as_deref());
            if call.writes() {
                checkers::before(&world, &call);
                checkers::leads(&world, &call, candidate.as_deref());
            } else {
                checkers::now_and_then(&world);
                let wrong = again::asked_too_often(&world, &call).or_else(|| asked::asks_everybody(&call));
                wrong.into_iter().for_each(|wrong| world.violation(wrong));
            }
            owed::pay(&world, &call);
            crash_point(&world, false).await;
            let began = world.elapsed();
            let number = world.past().calls;
            let waits = Waits { world: &world, region: &call.region, answered: false };
            let answer = waits.answered_by(world.aws.connect(request)).await;
            if world.elapsed() - began > PATIENCE {
                world.violation(format!(
                    "{} in {} was waited for longer than {PATIENCE:?}",
                    call.operation, call.region
                ));
            }
            let what = format!("{} {} {}", call.region, call.operation, call.subject(&SUBJECTS));
            let code = answer.as_ref().map_or("no answer".to_owned(), |a| a.status().as_u16().to_string());
            world.trace.line(world.elapsed(), if call.writes() { "write" } else { "read" }, &format!("{what} {code}"));
            if call.writes() {
                checkers::after(&world, &call);
            }
            // What a controller has asked before it ended, the next one does not know.
            if process.strong_count() == 0 {
                return std::future::pending().await;
            }
            owed::note(&world, &call, answer.as_ref().ok());
            let in_vain = again::copied_in_vain(&world, &call, began, answer.as_ref().ok());
            in_vain.into_iter().for_each(|wrong| world.violation(wrong));
            if let Ok(answer) = &answer {
                asked::note(&world, &call, number, began, answer);
            }
            // It can take so long that who waits gives up, and has not heard the answer.
            let waits = Waits { world: &world, region: &call.region, answered: false };
            waits.answered_by(second_thought(&world, &by_hand, &call.operation)).await;
            crash_point(&world, true).await;
            match answer.as_ref().map(|answer| answer.status().as_u16()) {
                Ok(200) if call.writes() => again::note(&world, &call),
                Ok(400..500) => again::refused(&world, &call),
                _ => {}
            }
            answer.map(|answer| match doctor {
                Some(doctor) => doctor.answer(&call, answer),
                None => answer,
            })
        })
    }
}

/// Who waits for an answer. One that gives up has learnt that the region does not answer.
struct Waits<'a> {
    world: &'a World,
    region: &'a str,
    answered: bool,
}

impl Waits<'_> {
    async fn answered_by<T>(mut self, answer: impl Future<Output = T>) -> T {
        let answer = answer.await;
        self.answered = true;
        answer
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        if !self.answered {
            let now = self.world.elapsed();
            self.world.past().done.owed.refuse(now, self.region);
        }
    }
}

/// Counts a call; at the last one the controller is killed, and this call never returns.
async fn crash_point(world: &World, after_commit: bool) {
    let kill = {
        let mut past = world.past();
        let Some(crash) = past.crash.as_mut().filter(|crash| crash.after_commit == after_commit) else { return };
        if crash.calls_left > 0 {
            crash.calls_left -= 1;
            return;
        }
        past.crash.take().map(|crash| crash.kill)
    };
    if let Some(kill) = kill {
        kill.notify_one();
        std::future::pending::<()>().await;
    }
}

/// Counts a call; after the last one somebody does what comes to mind.
async fn second_thought(world: &World, by_hand: &SdkConfig, operation: &str) {
    let thought = world.past().second_thought.take_if(|(when, _)| when.has_come(operation));
    match thought {
        Some((_, Thought::TakeBack(manifest))) => world.take_back(&manifest),
        Some((_, Thought::ByHand(what, pick))) => {
            world.disturb(Duration::ZERO);
            hands::act(world, by_hand, what, pick).await;
        }
        Some((_, Thought::CopiesEnd)) => world.aws.end_copies(),
        None => {}
    }
}
