//! Which operation a call means.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::ApiError;
use crate::request::{Context, Params, Request, Service};
use crate::wire::xml::Xml;
use crate::wire::{Reply, query};
use crate::world::World;
use crate::world::sts::as_sts_says;

impl World {
    pub(crate) fn dispatch(&mut self, cx: &Context, request: &Request) -> Result<Reply, ApiError> {
        self.check_session(cx, request)?;
        match request.service {
            Service::Ec2 => self.dispatch_ec2(cx, &request.operation, &request.params),
            Service::Ssm => self.dispatch_ssm(cx, &request.operation, &request.params),
            Service::Kms => self.dispatch_kms(cx, &request.operation, &request.params),
            Service::Sts => self.dispatch_sts(cx, &request.operation, &request.params),
        }
    }

    fn dispatch_ec2(&mut self, cx: &Context, operation: &str, params: &Params) -> Result<Reply, ApiError> {
        self.region(cx)?;
        let call = Query { world: self, cx, params };
        match operation {
            "AttachVolume" => call.run(World::attach_volume),
            "AuthorizeSecurityGroupEgress" => call.run(World::authorize_egress),
            "AuthorizeSecurityGroupIngress" => call.run(World::authorize_ingress),
            "CancelImageLaunchPermission" => call.run(World::cancel_launch_permission),
            "CopyImage" => call.run(World::copy_image),
            "CopySnapshot" => call.run(World::copy_snapshot),
            "CreateImage" => call.run(World::create_image),
            "CreateImageUsageReport" => call.run(World::create_usage_report),
            "CreateKeyPair" => call.run(World::create_key_pair),
            "CreateLaunchTemplate" => call.run(World::create_launch_template),
            "CreateLaunchTemplateVersion" => call.run(World::create_launch_template_version),
            "CreateSecurityGroup" => call.run(World::create_security_group),
            "CreateSnapshot" => call.run(World::create_snapshot),
            "CreateSnapshots" => call.run(World::create_snapshots),
            "CreateTags" => call.run(World::create_tags),
            "CreateVolume" => call.run(World::create_volume),
            "DeleteImageUsageReport" => call.run(World::delete_usage_report),
            "DeleteKeyPair" => call.run(World::delete_key_pair),
            "DeleteLaunchTemplate" => call.run(World::delete_launch_template),
            "DeleteLaunchTemplateVersions" => call.run(World::delete_launch_template_versions),
            "DeleteSecurityGroup" => call.run(World::delete_security_group),
            "DeleteSnapshot" => call.run(World::delete_snapshot),
            "DeleteTags" => call.run(World::delete_tags),
            "DeleteVolume" => call.run(World::delete_volume),
            "DeregisterImage" => call.run(World::deregister_image),
            "DescribeAvailabilityZones" => call.run(World::describe_availability_zones),
            "DescribeImageAttribute" => call.run(World::describe_image_attribute),
            "DescribeImageReferences" => call.run(World::describe_image_references),
            "DescribeImageUsageReportEntries" => call.run(World::describe_usage_report_entries),
            "DescribeImageUsageReports" => call.run(World::describe_usage_reports),
            "DescribeImages" => call.run(World::describe_images),
            "DescribeInstanceAttribute" => call.run(World::describe_instance_attribute),
            "DescribeInstanceStatus" => call.run(World::describe_instance_status),
            "DescribeInstances" => call.run(World::describe_instances),
            "DescribeKeyPairs" => call.run(World::describe_key_pairs),
            "DescribeLaunchTemplateVersions" => call.run(World::describe_launch_template_versions),
            "DescribeLaunchTemplates" => call.run(World::describe_launch_templates),
            "DescribeRegions" => call.run(World::describe_regions),
            "DescribeSecurityGroups" => call.run(World::describe_security_groups),
            "DescribeSnapshotAttribute" => call.run(World::describe_snapshot_attribute),
            "DescribeSnapshots" => call.run(World::describe_snapshots),
            "DescribeSubnets" => call.run(World::describe_subnets),
            "DescribeTags" => call.run(World::describe_tags),
            "DescribeVolumes" => call.run(World::describe_volumes),
            "DescribeVpcs" => call.run(World::describe_vpcs),
            "DetachVolume" => call.run(World::detach_volume),
            "DisableAllowedImagesSettings" => call.run(World::disable_allowed_images),
            "DisableEbsEncryptionByDefault" => call.run(World::disable_encryption_by_default),
            "DisableImage" => call.run(World::disable_image),
            "DisableImageBlockPublicAccess" => call.run(World::unblock_public_images),
            "DisableImageDeprecation" => call.run(World::disable_image_deprecation),
            "DisableImageDeregistrationProtection" => call.run(World::disable_protection),
            "DisableSnapshotBlockPublicAccess" => call.run(World::unblock_public_snapshots),
            "EnableAllowedImagesSettings" => call.run(World::enable_allowed_images),
            "EnableEbsEncryptionByDefault" => call.run(World::enable_encryption_by_default),
            "EnableImage" => call.run(World::enable_image),
            "EnableImageBlockPublicAccess" => call.run(World::block_public_images),
            "EnableImageDeprecation" => call.run(World::enable_image_deprecation),
            "EnableImageDeregistrationProtection" => call.run(World::enable_protection),
            "EnableSnapshotBlockPublicAccess" => call.run(World::block_public_snapshots),
            "GetAllowedImagesSettings" => call.run(World::get_allowed_images),
            "GetEbsDefaultKmsKeyId" => call.run(World::get_default_key),
            "GetEbsEncryptionByDefault" => call.run(World::get_encryption_by_default),
            "GetImageAncestry" => call.run(World::get_image_ancestry),
            "GetImageBlockPublicAccessState" => call.run(World::get_public_images),
            "GetSnapshotBlockPublicAccessState" => call.run(World::get_public_snapshots),
            "ImportKeyPair" => call.run(World::create_key_pair),
            "ListImagesInRecycleBin" => call.run(World::list_images_in_bin),
            "ListSnapshotsInRecycleBin" => call.run(World::list_snapshots_in_bin),
            "ModifyEbsDefaultKmsKeyId" => call.run(World::modify_default_key),
            "ModifyImageAttribute" => call.run(World::modify_image_attribute),
            "ModifyInstanceAttribute" => call.run(World::modify_instance_attribute),
            "ModifyLaunchTemplate" => call.run(World::modify_launch_template),
            "ModifySnapshotAttribute" => call.run(World::modify_snapshot_attribute),
            "RebootInstances" => call.run(World::reboot_instances),
            "RegisterImage" => call.run(World::register_image),
            "ReplaceImageCriteriaInAllowedImagesSettings" => call.run(World::replace_image_criteria),
            "ResetEbsDefaultKmsKeyId" => call.run(World::reset_default_key),
            "ResetImageAttribute" => call.run(World::reset_image_attribute),
            "ResetSnapshotAttribute" => call.run(World::reset_snapshot_attribute),
            "RestoreImageFromRecycleBin" => call.run(World::restore_image),
            "RestoreSnapshotFromRecycleBin" => call.run(World::restore_snapshot),
            "RevokeSecurityGroupEgress" => call.run(World::revoke_egress),
            "RevokeSecurityGroupIngress" => call.run(World::revoke_ingress),
            "RunInstances" => call.run(World::run_instances),
            "StartInstances" => call.run(World::start_instances),
            "StopInstances" => call.run(World::stop_instances),
            "TerminateInstances" => call.run(World::terminate_instances),
            _ => Err(invalid_action(operation)),
        }
    }

    /// In a region that is not enabled no credentials are valid:
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_enable-regions.html>.
    fn dispatch_sts(&mut self, cx: &Context, operation: &str, params: &Params) -> Result<Reply, ApiError> {
        self.region(cx).map_err(|_| invalid_token())?;
        let call = Query { world: self, cx, params };
        let answer = match operation {
            "AssumeRole" => call.run(World::assume_role),
            "GetCallerIdentity" => call.run(World::get_caller_identity),
            _ => Err(invalid_action(operation)),
        };
        answer.map_err(as_sts_says)
    }

    /// A call of a service that speaks JSON.
    fn json<'a>(&'a mut self, cx: &'a Context, params: &'a Params) -> Result<Json<'a>, ApiError> {
        self.region(cx).map_err(|_| unrecognized())?;
        Ok(Json { world: self, cx, params })
    }

    fn dispatch_ssm(&mut self, cx: &Context, operation: &str, params: &Params) -> Result<Reply, ApiError> {
        let call = self.json(cx, params)?;
        match operation {
            "AddTagsToResource" => call.run(World::add_parameter_tags),
            "DeleteParameter" => call.run(World::delete_parameter),
            "DeleteParameters" => call.run(World::delete_parameters),
            "DescribeParameters" => call.run(World::describe_parameters),
            "GetParameter" => call.run(World::get_parameter),
            "GetParameterHistory" => call.run(World::get_parameter_history),
            "GetParameters" => call.run(World::get_parameters),
            "GetParametersByPath" => call.run(World::get_parameters_by_path),
            "LabelParameterVersion" => call.run(World::label_parameter_version),
            "ListTagsForResource" => call.run(World::list_parameter_tags),
            "PutParameter" => call.run(World::put_parameter),
            "RemoveTagsFromResource" => call.run(World::remove_parameter_tags),
            "UnlabelParameterVersion" => call.run(World::unlabel_parameter_version),
            _ => Err(unknown_operation(operation)),
        }
    }

    fn dispatch_kms(&mut self, cx: &Context, operation: &str, params: &Params) -> Result<Reply, ApiError> {
        let call = self.json(cx, params)?;
        match operation {
            "CancelKeyDeletion" => call.run(World::cancel_key_deletion),
            "CreateAlias" => call.run(World::create_alias),
            "CreateGrant" => call.run(World::create_grant),
            "CreateKey" => call.run(World::create_key),
            "DeleteAlias" => call.run(World::delete_alias),
            "DescribeKey" => call.run(World::describe_key),
            "DisableKey" => call.run(World::disable_key),
            "EnableKey" => call.run(World::enable_key),
            "GetKeyPolicy" => call.run(World::get_key_policy),
            "ListAliases" => call.run(World::list_aliases),
            "ListGrants" => call.run(World::list_grants),
            "ListKeyPolicies" => call.run(World::list_key_policies),
            "ListKeys" => call.run(World::list_keys),
            "PutKeyPolicy" => call.run(World::put_key_policy),
            "RevokeGrant" => call.run(World::revoke_grant),
            "ScheduleKeyDeletion" => call.run(World::schedule_key_deletion),
            "UpdateAlias" => call.run(World::update_alias),
            _ => Err(unknown_operation(operation)),
        }
    }
}

fn unknown_operation(operation: &str) -> ApiError {
    let message = format!("{operation} is not simulated");
    ApiError::new("UnknownOperationException", message)
}

fn unrecognized() -> ApiError {
    ApiError::new("UnrecognizedClientException", "The security token included in the request is invalid.")
}

fn invalid_token() -> ApiError {
    ApiError::new("InvalidClientTokenId", "The security token included in the request is invalid").with_status(403)
}

fn invalid_action(operation: &str) -> ApiError {
    let message = format!("The action {operation} is not valid for this web service.");
    ApiError::new("InvalidAction", message)
}

/// A call of EC2 or STS.
struct Query<'a> {
    world: &'a mut World,
    cx: &'a Context,
    params: &'a Params,
}

impl Query<'_> {
    /// Reads the parameters and does what they ask, or with `DryRun` only says that the caller may.
    fn run<I: DeserializeOwned>(
        self,
        operation: fn(&mut World, &Context, I) -> Result<Xml, ApiError>,
    ) -> Result<Reply, ApiError> {
        let Params::Query(params) = self.params else {
            return Err(ApiError::new("MalformedQueryString", "The request is not a query"));
        };
        let mut params = params.clone();
        let dry_run = params.remove("DryRun").is_some_and(|value| value == "true");
        let input = query::read(&params)?;
        if dry_run {
            let message = "Request would have succeeded, but DryRun flag is set.";
            return Err(ApiError::new("DryRunOperation", message).with_status(412));
        }
        operation(self.world, self.cx, input).map(Reply::Xml)
    }
}

/// A call of SSM or KMS.
struct Json<'a> {
    world: &'a mut World,
    cx: &'a Context,
    params: &'a Params,
}

impl Json<'_> {
    fn run<I: DeserializeOwned>(
        self,
        operation: fn(&mut World, &Context, I) -> Result<Value, ApiError>,
    ) -> Result<Reply, ApiError> {
        let Params::Json(params) = self.params else {
            return Err(ApiError::new("SerializationException", "The request is not JSON"));
        };
        let input = I::deserialize(params).map_err(|error| ApiError::validation(error.to_string()))?;
        operation(self.world, self.cx, input).map(Reply::Json)
    }
}
