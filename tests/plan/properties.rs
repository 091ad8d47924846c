//! What is true in every world, tried on worlds made at random.

use std::collections::{BTreeMap, BTreeSet};

use amiops::plan::{Action, Plan, RegionView, plan};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{FileFailurePersistence, TestRunner};

use crate::fixtures::{World, minutes};
use crate::invariants::check;
use crate::worlds::case;

/// After this many rounds, two hours apart, nothing is left to do.
const ROUNDS: usize = 8;

fn config() -> ProptestConfig {
    let failure_persistence = Some(Box::new(FileFailurePersistence::WithSource("regressions")) as Box<_>);
    ProptestConfig { cases: 256, failure_persistence, ..ProptestConfig::default() }
}

/// Plays a world until it is at rest, and keeps an eye on every plan on the way.
fn play(world: &mut World) -> Vec<Plan> {
    let mut plans = Vec::new();
    for _ in 0..ROUNDS {
        let before = World { desired: world.desired.clone(), observed: world.observed.clone(), now: world.now };
        let plan = world.round();
        check(&before, &plan);
        plans.push(plan);
    }
    plans
}

/// Whether an object that is deleted with its images is done, or tells what it waits for.
fn is_gone_or_says_why(world: &World, plan: &Plan) -> bool {
    let regions = world.observed.regions.values();
    let unread = |view: &RegionView| {
        world.desired.channels.iter().filter_map(|c| c.parameter.as_ref()).any(|p| !view.parameters.contains_key(p))
    };
    let unseen = regions.into_iter().any(|view| !view.is_current() || view.snapshots.is_none() || unread(view));
    let told = !plan.problems.is_empty() || plan.departures.iter().any(|d| d.blocked_by.is_some());
    !world.desired.retires_all() || world.desired.suspended || plan.all_gone || unseen || told
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_same_question_has_the_same_answer(case in case()) {
        let (world, again) = (case.world(), case.world());
        prop_assert_eq!(world.plan(), again.plan());
    }

    #[test]
    fn every_plan_keeps_to_the_rules(case in case()) {
        let world = case.world();
        check(&world, &world.plan());
    }

    #[test]
    fn what_the_planner_asks_about_is_all_that_it_needs(case in case()) {
        let world = case.world();
        let seen = world.as_the_controller_sees_it();
        prop_assert_eq!(plan(&world.desired, &seen, world.now).steps, world.plan().steps);
    }

    #[test]
    fn an_action_that_failed_waits_and_holds_up_no_other(case in case(), which in any::<prop::sample::Index>()) {
        let mut world = case.world();
        let steps = world.plan().steps;
        prop_assume!(!steps.is_empty());
        let failed = steps[which.index(steps.len())].action.key();
        world.failed_before(failed.clone(), "not allowed", minutes(5));

        let plan = world.plan();
        let others: Vec<_> = steps.into_iter().filter(|s| s.action.key() != failed).collect();
        prop_assert_eq!(&plan.steps, &others);
        prop_assert!(plan.problems.iter().any(|p| p.message == "not allowed"));
        prop_assert!(plan.look_again.is_some_and(|at| at <= world.now + minutes(5)));
    }

    #[test]
    fn every_world_comes_to_rest_and_stays_there(case in case()) {
        let mut world = case.world();
        play(&mut world);
        for _ in 0..3 {
            let plan = world.round();
            check(&world, &plan);
            prop_assert_eq!(&plan.steps, &vec![]);
            prop_assert!(is_gone_or_says_why(&world, &plan), "the deletion hangs without a word");
        }
    }

    #[test]
    fn no_version_is_copied_twice_to_a_region(case in case()) {
        let mut copies = BTreeMap::<_, u32>::new();
        for step in play(&mut case.world()).into_iter().flat_map(|plan| plan.steps) {
            if let Action::Copy(copy) = step.action {
                *copies.entry((copy.version, copy.region)).or_default() += 1;
            }
        }
        prop_assert!(copies.values().all(|n| *n == 1), "{copies:?}");
    }
}

/// Worlds at random prove nothing about what they never lead to.
#[test]
fn the_worlds_lead_to_every_reason_and_every_obstacle() {
    let mut runner = TestRunner::deterministic();
    let mut told = BTreeSet::new();
    for _ in 0..2000 {
        for plan in play(&mut case().new_tree(&mut runner).unwrap().current().world()) {
            told.extend(plan.steps.iter().map(|s| s.reason.code().to_owned()));
            told.extend(plan.problems.iter().map(|p| p.code.clone()));
            told.extend(plan.departures.into_iter().filter_map(|d| d.blocked_by));
            told.extend(plan.landings.into_iter().filter_map(|l| l.error));
            told.extend(plan.all_gone.then(|| "all gone".to_owned()));
        }
    }
    let expected = "Missing, CopyFailed, HandedOver, TakenBack, TagsDiffer, Moved, LeftTheList, Superseded, FailedAndUnwanted, \
                    LeftBehind, ObjectDeleted, SourceNotAvailable, Duplicate, SourceChanged, ImageDisabled, \
                    OwnedByAnother, FailedCopyProtected, ParameterNotTaken, all gone, the region cannot be seen, EC2 does not list it yet, \
                    names it, cannot be read, has not been read yet, is copied from it, \
                    another MachineImage has it, it is protected, this object keeps an available image, in use by, \
                    that cannot be checked, has not been checked yet, waits until, SSM is checking";
    for obstacle in expected.split(", ") {
        assert!(told.iter().any(|sentence| sentence.contains(obstacle)), "no world leads to: {obstacle}");
    }
}
