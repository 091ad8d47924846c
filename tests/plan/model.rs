//! A tiny AWS: what a plan's steps make of a world, and how time settles it.

use std::time::Duration;

use amiops::plan::tags::Tags;
use amiops::plan::{
    Action, Copy, Image, ImageState, Observed, Parameter, Plan, Shown, Sight, Snapshot, Step, candidates, plan,
    sources_to_look_up,
};

use crate::fixtures::{World, source};

/// How much time passes between two rounds: longer than any wait of the planner.
const ROUND: Duration = Duration::from_hours(2);

impl World {
    /// What the controller would see: it asks about sources and use only where the planner needs to know.
    pub(crate) fn as_the_controller_sees_it(&self) -> Observed {
        let mut seen = Observed { sources: Default::default(), usage: Default::default(), ..self.observed.clone() };
        for source in sources_to_look_up(&self.desired, &seen) {
            seen.sources.extend(self.observed.sources.get(&source).map(|found| (source, found.clone())));
        }
        for image in candidates(&self.desired, &seen).into_values().flatten() {
            seen.usage.extend(self.observed.usage.get(&image).map(|usage| (image, usage.clone())));
        }
        seen
    }

    /// One round: a plan, all its steps, and then time for everything to settle.
    pub(crate) fn round(&mut self) -> Plan {
        let plan = plan(&self.desired, &self.as_the_controller_sees_it(), self.now);
        for step in &plan.steps {
            self.apply(step);
        }
        self.settle();
        plan
    }

    fn apply(&mut self, step: &Step) {
        match &step.action {
            Action::Copy(copy) => self.copy(copy),
            Action::Tag { region, image, resources, tags, .. } => {
                let known = self.region(region.as_str()).images.iter().flatten().any(|i| i.id == *image);
                if !known {
                    self.hand_over(image, region.as_str());
                }
                let view = self.region(region.as_str());
                let images = view.images.iter_mut().flatten().map(|i| (i.id.to_string(), &mut i.tags));
                let snapshots = view.snapshots.iter_mut().flatten().map(|s| (s.id.to_string(), &mut s.tags));
                let tagged = images.chain(snapshots).filter(|(id, _)| resources.contains(id));
                tagged.for_each(|(_, present)| present.extend(tags.clone()));
            }
            Action::Publish { region, parameter, image, .. } => {
                let value = Parameter {
                    shown: Some(Shown { value: image.to_string(), modified: Some(self.now), is_image: true }),
                    written: None,
                };
                self.region(region.as_str()).parameters.insert(parameter.clone(), Ok(Some(value)));
            }
            Action::Unpublish { region, parameter, .. } => {
                self.region(region.as_str()).parameters.insert(parameter.clone(), Ok(None));
            }
            Action::Deregister { region, image, .. } => {
                let leaves_snapshots = image.as_str().ends_with('1');
                let view = self.region(region.as_str());
                let images = view.images.as_mut().unwrap();
                let gone = images.remove(images.iter().position(|i| i.id == *image).unwrap());
                if !leaves_snapshots {
                    view.snapshots.iter_mut().for_each(|all| all.retain(|s| !gone.snapshots.contains(&s.id)));
                }
            }
            Action::DeleteSnapshot { region, snapshot, .. } => {
                let view = self.region(region.as_str());
                view.snapshots.iter_mut().for_each(|all| all.retain(|s| s.id != *snapshot));
            }
        }
    }

    /// CopyImage: pending at first, and its snapshot is not in the image yet.
    fn copy(&mut self, copy: &Copy) {
        let Copy { region, version, attempt, .. } = copy;
        let id = format!("ami-made-{region}-{version}-{attempt}");
        let snapshot = Snapshot {
            id: format!("snap-made-{region}-{version}-{attempt}").as_str().into(),
            started: Some(self.now),
            pending: true,
            tags: copy.tags.clone(),
        };
        let image = Image {
            id: id.as_str().into(),
            name: copy.name.clone(),
            state: ImageState::Pending,
            created: Some(self.now),
            made_from: Some(copy.source.clone()),
            snapshots: vec![],
            tags: copy.tags.clone(),
            ..source(&copy.source)
        };
        let view = self.region(region.as_str());
        view.snapshots.iter_mut().for_each(|all| all.push(snapshot.clone()));
        view.images.as_mut().unwrap().push(image);
    }

    /// The tags of a source that is adopted bring it into the listing of what is ours.
    fn hand_over(&mut self, image: &amiops::plan::ids::ImageId, region: &str) {
        let mut found = self.observed.sources.values().flatten().find(|s| s.id == *image).unwrap().clone();
        found.tags = Tags::new();
        let started = found.created;
        let snapshots = found.snapshots.clone();
        let view = self.region(region);
        view.images.as_mut().unwrap().push(found);
        let snapshots = snapshots.into_iter().map(|id| Snapshot { id, started, pending: false, tags: Tags::new() });
        view.snapshots.iter_mut().for_each(|all| all.extend(snapshots.clone()));
    }

    /// Time passes: copies end, SSM takes what was written, EC2 lists everything.
    fn settle(&mut self) {
        self.now += ROUND;
        let less = |wait: &mut std::time::Duration| *wait = wait.saturating_sub(ROUND);
        self.observed.failures.values_mut().for_each(|failure| less(&mut failure.wait));
        less(&mut self.observed.listed_late_for);
        for view in self.observed.regions.values_mut() {
            for copies in [&mut view.awaited, &mut view.unanswered] {
                copies.values_mut().for_each(less);
                copies.retain(|_, wait| !wait.is_zero());
            }
        }
        for view in self.observed.regions.values_mut() {
            for image in view.images.iter_mut().flatten() {
                image.sight = Sight::Listed;
                if image.state == ImageState::Pending {
                    image.state = ImageState::Available;
                }
                if image.snapshots.is_empty() {
                    image.snapshots = vec![image.id.as_str().replacen("ami", "snap", 1).as_str().into()];
                }
            }
            view.images.iter_mut().for_each(|all| all.retain(|i| i.state != ImageState::Deregistered));
            view.snapshots.iter_mut().flatten().for_each(|snapshot| snapshot.pending = false);
            for parameter in view.parameters.values_mut().flatten().flatten() {
                if let Some(written) = parameter.written.take() {
                    let value = written.image.to_string();
                    parameter.shown = Some(Shown { value, modified: Some(self.now), is_image: true });
                }
            }
        }
    }
}
