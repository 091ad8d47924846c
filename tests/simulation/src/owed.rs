//! What the controller owes: some answers ask for a look soon. Who waits for the next listing instead shows old things for long, or
//! acts on them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::asked;
use crate::checkers::tag_of;
use crate::door::Call;
use crate::world::World;

/// What is not settled is looked at every two minutes; a look may take one.
const SOON: Duration = Duration::from_mins(6);

/// A region that refuses is asked again after so long at most.
const BACKOFF: Duration = Duration::from_mins(10);

/// The tag of an image that was handed back.
const HANDED_BACK: &str = "<key>amiops.dev/adopted</key><value>false</value>";

/// A look that is owed in a region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Look {
    /// At the images: one exists whose id is not known.
    Images,
    /// At the snapshots: an image went, and not all of its snapshots may have.
    Snapshots,
    /// At an image that is said to be gone.
    Image(String),
}

/// What the running controller owes, and what it was shown.
#[derive(Default)]
pub(crate) struct Owed {
    /// Until when each look is due.
    due: BTreeMap<(String, Look), Duration>,
    /// The images that the last listing of each region showed, and that nothing has been learnt of since.
    listed: BTreeMap<String, BTreeSet<String>>,
    /// The images that it deregistered or handed back, or was told to be gone when it would.
    gone: BTreeSet<String>,
    /// When each region last did not answer, or refused.
    refused: BTreeMap<String, Duration>,
}

impl Owed {
    /// What another controller owes, once this one has ended: nothing yet, and nothing soon where this one was refused. Of what went
    /// it may know, as one that did not lead before.
    pub(crate) fn of_another(self) -> Self {
        Self { gone: self.gone, refused: self.refused, ..Self::default() }
    }

    fn owe(&mut self, now: Duration, region: &str, look: Look) {
        if self.refused.get(region).is_some_and(|at| now - *at < BACKOFF) {
            return;
        }
        self.due.entry((region.to_owned(), look)).or_insert(now + SOON);
    }

    /// In a region that refuses nothing is owed soon. A listing of snapshots is made up for when it can be.
    pub(crate) fn refuse(&mut self, now: Duration, region: &str) {
        self.due.retain(|(of, look), _| of != region || *look == Look::Snapshots);
        let here = self.due.iter_mut().filter(|((of, _), _)| of == region);
        here.for_each(|(_, until)| *until = now + BACKOFF + SOON);
        self.refused.insert(region.to_owned(), now);
    }

    fn is_listed(&self, region: &str, image: &str) -> bool {
        self.listed.get(region).is_some_and(|listed| listed.contains(image))
    }

    fn remove(&mut self, call: &Call) {
        let Some(image) = call.get("ImageId") else { return };
        self.forget(&call.region, image);
        self.gone.insert(image.to_owned());
    }

    fn forget(&mut self, region: &str, image: &str) {
        self.listed.get_mut(region).map(|listed| listed.remove(image));
    }
}

/// A call pays what it looks at. Whatever is due for too long by then is told.
pub(crate) fn pay(world: &World, call: &Call) {
    let now = world.elapsed();
    let looks = match call.operation.as_str() {
        "DescribeImages" if asked::is_listing(call) => vec![Look::Images],
        "DescribeSnapshots" if asked::is_listing(call) => vec![Look::Snapshots],
        "DescribeImages" => {
            asked::filtered(call, "image-id").into_iter().map(|id| Look::Image(id.to_owned())).collect()
        }
        _ => Vec::new(),
    };
    let mut late = Vec::new();
    {
        let owed = &mut world.past().done.owed;
        // A listing looks at all images, whichever it shows.
        let paid =
            |look: &Look| looks.contains(look) || (matches!(look, Look::Image(_)) && looks.contains(&Look::Images));
        owed.due.retain(|(region, look), _| *region != call.region || !paid(look));
        owed.due.retain(|(region, look), until| {
            let overdue = *until < now;
            if overdue {
                late.push(format!("{look:?} in {region} should have been looked at by {until:?}"));
            }
            !overdue
        });
    }
    late.into_iter().for_each(|what| world.violation(what));
}

/// Notes what an answer asks for.
pub(crate) fn note(world: &World, call: &Call, answer: Option<&HttpResponse>) {
    let now = world.elapsed();
    let code = answer.map(|answer| answer.status().as_u16());
    let text = || String::from_utf8_lossy(answer.and_then(|a| a.body().bytes()).unwrap_or_default()).into_owned();
    let owed = &mut world.past().done.owed;
    let region = call.region.as_str();
    match (code, call.operation.as_str()) {
        (Some(200), "DeregisterImage") => {
            owed.owe(now, region, Look::Snapshots);
            owed.remove(call);
        }
        (Some(400), "DeregisterImage") if text().contains("InvalidAMIID.") => owed.remove(call),
        (Some(200), "CreateTags") => {
            let handed_back = tag_of(call, "amiops.dev/adopted") == Some("false");
            for id in call.list("ResourceId") {
                owed.forget(region, id);
                // EC2 may list it with the tags before.
                if handed_back {
                    owed.gone.insert(id.to_owned())
                } else {
                    owed.gone.remove(id)
                };
            }
        }
        (Some(200), "DescribeImages") => {
            asked::filtered(call, "image-id").into_iter().for_each(|id| owed.forget(region, id));
        }
        (Some(200), _) => {}
        (Some(400), "CreateTags") if text().contains("InvalidAMIID.") => {
            let gone: Vec<_> = call.list("ResourceId").into_iter().filter(|id| owed.is_listed(region, id)).collect();
            // Of what a listing has missed before, this is the second look.
            owed.due.retain(|(of, look), _| {
                of != region || !call.list("ResourceId").iter().any(|id| *look == Look::Image((*id).to_owned()))
            });
            for id in gone {
                owed.owe(now, region, Look::Image(id.to_owned()));
                owed.forget(region, id);
            }
        }
        (Some(400), "CopyImage") if text().contains("IdempotentParameterMismatch") => {
            owed.owe(now, region, Look::Images);
        }
        (_, operation) => {
            if operation == "DescribeSnapshots" && asked::is_listing(call) {
                owed.due.insert((region.to_owned(), Look::Snapshots), now);
            }
            owed.refuse(now, region);
        }
    }
}

/// Notes what the whole answer to a listing shows: what it misses of the one before is to be looked at.
pub(crate) fn answered(world: &World, call: &Call, text: &str) {
    if call.operation != "DescribeImages" || !asked::is_listing(call) {
        return;
    }
    let now = world.elapsed();
    let owed = &mut world.past().done.owed;
    let before = owed.listed.remove(&call.region).unwrap_or_default();
    for missed in before.iter().filter(|id| !text.contains(*id)) {
        owed.owe(now, &call.region, Look::Image(missed.clone()));
    }
    // What was handed back is listed for its tags, and is nothing to amiops.
    let owner =
        |image: &str| image.split("<key>amiops.dev/owner</key><value>").nth(1)?.split('<').next().map(str::to_owned);
    // Nor is what has an owner that nobody can read.
    let is_legible = |image: &str| owner(image).is_some_and(|owner| owner.split('/').count() == 3);
    let ours = text.split("<imageId>").skip(1).filter(|image| !image.contains(HANDED_BACK) && is_legible(image));
    let ids = ours.filter_map(|image| image.split('<').next()).filter(|id| !owed.gone.contains(*id));
    owed.listed.insert(call.region.clone(), ids.map(str::to_owned).collect());
}
