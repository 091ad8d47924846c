//! What an API server does, as sentences. Each is a test that runs twice: against the simulated server and against a real
//! kube-apiserver. Where the two differ, the real one is right.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may stop at what it does not expect"
)]

mod apply;
mod deletion;
mod events;
mod harness;
mod leases;
mod lists;
mod manifests;
mod metadata;
mod objects;
mod patches;
mod rules;
mod watches;

/// Makes of each behaviour a test of the simulated server and one of the real one.
macro_rules! behaviours {
    ($($module:ident: $($behaviour:ident)+;)+) => {
        mod simulated {
            $($(
                #[tokio::test]
                async fn $behaviour() {
                    crate::$module::$behaviour(crate::harness::simulated(stringify!($behaviour))).await;
                }
            )+)+
        }
        mod real {
            $($(
                #[tokio::test]
                async fn $behaviour() {
                    crate::$module::$behaviour(crate::harness::real(stringify!($behaviour)).await).await;
                }
            )+)+
        }
    };
}

behaviours! {
    objects:
        what_is_created_can_be_read
        the_server_names_what_is_created_with_a_prefix
        a_name_is_taken_once
        a_namespace_must_exist
        what_is_not_there_is_not_found
        a_replacement_needs_the_current_resource_version
        a_replacement_of_another_uid_is_a_conflict
        a_dry_run_changes_nothing
        metadata_can_be_had_alone
        a_namespace_is_an_object_too;
    metadata:
        the_generation_counts_changes_of_the_spec_only
        the_status_has_an_endpoint_of_its_own
        the_status_is_not_given_at_creation
        what_changes_nothing_keeps_the_resource_version
        the_uid_cannot_be_changed
        names_and_labels_have_rules
        system_fields_cannot_be_set;
    manifests:
        defaults_are_filled_in
        the_default_status_says_that_nothing_was_observed
        unknown_fields_are_dropped
        unknown_fields_are_refused_when_validation_is_strict
        nulls_give_way_to_defaults
        wrong_types_are_refused
        what_is_required_must_be_there
        bounds_are_kept
        choices_are_kept
        a_key_of_a_list_map_is_there_once
        times_must_be_times
        times_are_not_looked_at_closely
        whole_numbers_are_read_back_as_such
        the_kind_must_be_right
        the_status_has_a_schema_too;
    rules:
        each_rule_refuses_with_its_sentence
        rules_wait_for_a_valid_object
        rules_hold_for_updates_too;
    patches:
        a_merge_patch_changes_what_it_names_and_null_removes
        a_merge_patch_with_a_stale_resource_version_is_a_conflict
        a_merge_patch_of_the_status_changes_nothing_else
        a_json_patch_is_applied_step_by_step
        a_json_patch_whose_test_fails_is_refused
        what_is_not_there_passes_the_test_of_a_json_patch_for_null
        a_patch_of_nothing_is_not_found
        a_merge_patch_is_an_object;
    apply:
        apply_creates_what_is_not_there
        apply_removes_what_its_manager_no_longer_names
        apply_of_the_status_removes_absent_fields
        apply_of_the_status_touches_nothing_else
        apply_of_the_status_does_not_look_at_the_uid
        apply_merges_lists_by_their_keys
        apply_of_the_same_keeps_the_resource_version
        apply_over_the_fields_of_another_is_a_conflict
        two_appliers_share_what_they_agree_on
        apply_knows_declared_fields_only
        apply_takes_a_key_once
        apply_needs_the_right_uid_to_make_nothing
        managed_fields_tell_who_set_what
        apply_merges_finalizers_as_a_set
        apply_with_a_stale_resource_version_is_a_conflict
        apply_must_name_kind_and_version;
    deletion:
        what_nothing_holds_is_gone_at_once
        a_finalizer_holds_a_deleted_object
        a_deleted_object_takes_no_new_finalizer
        a_deleted_object_can_still_be_changed
        deletion_can_be_made_conditional;
    leases:
        a_lease_is_made_once
        a_lease_is_renewed_by_a_patch_with_its_resource_version
        a_lease_is_released_and_taken_over
        a_lease_is_checked
        a_put_makes_a_lease;
    events:
        an_event_is_created_and_becomes_a_series
        an_event_is_checked
        an_event_tells_one_thing_for_ever
        the_recorder_of_kube_is_served;
    lists:
        a_list_is_ordered_and_carries_the_resource_version
        a_list_comes_in_pages_of_one_moment
        a_list_selects_by_labels_and_fields
        a_page_of_a_moment_that_was_compacted_is_gone
        a_version_of_the_future_is_refused;
    watches:
        a_watch_tells_what_happens_in_order
        a_watch_resumes_from_a_resource_version
        a_watch_from_nowhere_begins_with_what_is_there
        a_watch_ends_when_its_time_is_up
        a_watch_that_wants_bookmarks_gets_one_before_its_end
        a_watch_selects_and_tells_of_those_who_leave
        a_watch_of_a_finalized_object_ends_with_its_deletion
        a_watch_from_before_the_compaction_is_told_that_it_is_too_old
        the_watcher_of_kube_is_served
        a_list_can_be_streamed
        metadata_can_be_watched_alone;
}
