//! What is going to happen by itself, in the order of time.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::world::World;
use crate::world::ssm::LandingParameter;
use crate::world::tags::LandingTags;

/// Something that happens later.
#[derive(Debug)]
pub(crate) enum Event {
    /// A copy of an image ends.
    ImageCopied { region: String, image: String },
    /// A snapshot is complete.
    SnapshotCompleted { region: String, snapshot: String },
    /// An image shows that it was launched.
    LaunchReported { region: String, image: String, at: Timestamp },
    /// The deletion of a key that was scheduled.
    KeyDeleted { region: String, account: String, key: String },
    /// Something leaves the Recycle Bin for good.
    LeavesBin { region: String, id: String },
    /// Tags are seen.
    TagsLanded(Box<LandingTags>),
    /// The validation of a parameter ends.
    ParameterValidated(Box<LandingParameter>),
}

/// The events to come.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    counter: u64,
    events: BTreeMap<(Timestamp, u64), Event>,
}

impl Agenda {
    pub(crate) fn add(&mut self, at: Timestamp, event: Event) {
        self.counter += 1;
        self.events.insert((at, self.counter), event);
    }

    /// Brings the end of all copies that are under way forward to a moment.
    fn hurry_copies(&mut self, now: Timestamp) {
        let of_copy = |event: &Event| matches!(event, Event::ImageCopied { .. } | Event::SnapshotCompleted { .. });
        for (_, event) in self.events.extract_if(.., |(at, _), event| *at > now && of_copy(event)).collect::<Vec<_>>() {
            self.add(now, event);
        }
    }

    /// Takes the next event that is due.
    fn pop(&mut self, now: Timestamp) -> Option<(Timestamp, Event)> {
        let entry = self.events.first_entry().filter(|entry| entry.key().0 <= now)?;
        let ((at, _), event) = entry.remove_entry();
        Some((at, event))
    }
}

impl World {
    /// Ends all copies that are under way.
    pub(crate) fn end_copies(&mut self) {
        self.agenda.hurry_copies(self.now);
        self.settle(self.now);
    }

    /// Lets happen what is due.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        while let Some((at, event)) = self.agenda.pop(now) {
            match event {
                Event::ImageCopied { region, image } => self.end_copy(at, &region, &image),
                Event::SnapshotCompleted { region, snapshot } => self.complete_snapshot(&region, &snapshot),
                Event::LaunchReported { region, image, at } => {
                    let region = self.regions.get_mut(&region);
                    if let Some(image) = region.and_then(|region| region.images.get_mut(&image)) {
                        image.last_launched = Some(at);
                    }
                }
                Event::KeyDeleted { region, account, key } => {
                    if let Some(region) = self.regions.get_mut(&region) {
                        region.delete_key(at, &account, &key);
                    }
                }
                Event::LeavesBin { region, id } => self.leave_bin(at, &region, &id),
                Event::TagsLanded(tags) => self.land_tags(*tags),
                Event::ParameterValidated(parameter) => self.land_parameter(at, *parameter),
            }
        }
    }
}

/// The moment that lies `span` after `from`, within what a timestamp can say.
pub(crate) fn after(from: Timestamp, span: SignedDuration) -> Timestamp {
    from.checked_add(span).unwrap_or(Timestamp::MAX)
}

/// A moment as EC2 writes that of an image or a launch, in whole seconds: `2026-11-24T09:00:00.000Z`.
pub(crate) fn written_in_seconds(at: Timestamp) -> String {
    written(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

/// A moment as EC2 writes it: `2026-11-24T09:00:00.000Z`.
pub(crate) fn written(at: Timestamp) -> String {
    format!("{at:.3}")
}
