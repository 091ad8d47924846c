//! RunInstances and launch templates.

use crate::client::{ACCOUNT, Client, OTHER, Reply, SOURCE_REGION, world};
use ec2sim::SeedImage;
use jiff::SignedDuration;
use serde_json::json;

fn launch(client: &Client, image: &str, more: &[(&str, &str)]) -> Reply {
    let mut params = vec![("ImageId", image), ("MinCount", "1"), ("MaxCount", "1")];
    params.extend(more);
    client.ec2("RunInstances", &params)
}

#[test]
fn a_parameter_that_does_not_lead_to_an_image_is_not_launched() {
    let world = world();
    let image = world.source();
    let client = world.client_of(ACCOUNT, SOURCE_REGION);
    client.ssm("PutParameter", json!({"Name": "/text", "Value": image, "Type": "String"}));
    for (name, sentence) in [
        ("resolve:ssm:/text", "Unsupported data type. The following parameter data types are supported: aws:ec2:image"),
        ("resolve:ssm:/none", "The following aliases are invalid: resolve:ssm:/none"),
    ] {
        let refused = launch(&client, name, &[]);
        assert_eq!((refused.code(), refused.message()), ("SsmInvalidParameter".to_owned(), sentence.to_owned()));
    }
}

#[test]
fn a_template_is_not_made_of_a_parameter_that_does_not_lead_to_an_image() {
    let world = world();
    let client = world.client_of(ACCOUNT, SOURCE_REGION);
    client.ssm("PutParameter", json!({"Name": "/text", "Value": world.source(), "Type": "String"}));
    let make = |operation: &str, image: &str| {
        client.ec2(operation, &[("LaunchTemplateName", "web"), ("LaunchTemplateData.ImageId", image)]).code()
    };
    for image in ["resolve:ssm:/text", "resolve:ssm:/none"] {
        assert_eq!(make("CreateLaunchTemplate", image), "SsmInvalidParameter");
    }
    assert_eq!(make("CreateLaunchTemplate", "ami-00000000000000000"), "OK");
    assert_eq!(make("CreateLaunchTemplateVersion", "resolve:ssm:/text"), "SsmInvalidParameter");
}

#[test]
fn an_image_is_not_launched_that_is_neither_ones_own_nor_shared() {
    let world = world();
    let image = world.seed(SeedImage { account: Some(OTHER.to_owned()), ..SeedImage::default() });
    let client = world.client_of(ACCOUNT, SOURCE_REGION);
    let refused = launch(&client, &image, &[]);
    assert_eq!((refused.status, refused.code()), (400, "AuthFailure".to_owned()));
    assert_eq!(refused.message(), format!("Not authorized for images: [{image}]"));
    assert_eq!(launch(&client, "ami-00000000000000000", &[]).code(), "InvalidAMIID.NotFound");
}

#[test]
fn a_token_whose_instances_are_terminated_is_refused() {
    let world = world();
    let image = world.source();
    let client = world.client_of(ACCOUNT, SOURCE_REGION);
    let first = launch(&client, &image, &[("ClientToken", "t-1")]).text("instanceId");
    assert_eq!(launch(&client, &image, &[("ClientToken", "t-1")]).text("instanceId"), first);
    client.ec2("TerminateInstances", &[("InstanceId.1", &first)]);
    assert_eq!(launch(&client, &image, &[("ClientToken", "t-1")]).code(), "IdempotentInstanceTerminated");
}

#[test]
fn at_most_200_versions_of_a_template_are_deleted_at_once() {
    let world = world();
    let client = world.client();
    client.ec2("CreateLaunchTemplate", &[("LaunchTemplateName", "web"), ("LaunchTemplateData.KeyName", "k")]);
    let delete = |most: usize| {
        let versions = (1..=most).map(|number| (format!("LaunchTemplateVersion.{number}"), number.to_string()));
        let versions: Vec<_> = versions.collect();
        let mut params = vec![("LaunchTemplateName", "web")];
        params.extend(versions.iter().map(|(name, number)| (name.as_str(), number.as_str())));
        client.ec2("DeleteLaunchTemplateVersions", &params).code()
    };
    assert_eq!((delete(200), delete(201)), ("OK".to_owned(), "InvalidParameterValue".to_owned()));
}

#[test]
fn a_usage_report_looks_at_the_20_newest_versions_unless_asked_for_more() {
    let world = world();
    let image = world.seed(SeedImage { shared_with: vec![OTHER.to_owned()], ..SeedImage::default() });
    let owner = world.client_of(ACCOUNT, SOURCE_REGION);
    let user = world.client_of(OTHER, SOURCE_REGION);
    let make = |operation: &str, image: &str| {
        user.ec2(operation, &[("LaunchTemplateName", "web"), ("LaunchTemplateData.ImageId", image)]);
    };
    let count = |more: &[(&str, &str)]| {
        let mut params = vec![("ImageId", image.as_str()), ("ResourceType.1.ResourceType", "ec2:LaunchTemplate")];
        params.extend(more);
        let report = owner.ec2("CreateImageUsageReport", &params).text("reportId");
        world.pass(SignedDuration::from_mins(1));
        owner.ec2("DescribeImageUsageReportEntries", &[("ReportId.1", &report)]).texts("usageCount").len()
    };
    make("CreateLaunchTemplate", &image);
    (0..19).for_each(|_| make("CreateLaunchTemplateVersion", "ami-00000000000000000"));
    assert_eq!(count(&[]), 1);
    make("CreateLaunchTemplateVersion", "ami-00000000000000000");
    assert_eq!(count(&[]), 0);
    let option = "ResourceType.1.ResourceTypeOption.1";
    let (name, value) = (format!("{option}.OptionName"), format!("{option}.OptionValue.1"));
    assert_eq!(count(&[(&name, "version-depth"), (&value, "21")]), 1);
}

#[test]
fn an_option_that_usage_reports_do_not_have_is_refused() {
    let world = world();
    let image = world.source();
    let report = |option: &str, value: &str| {
        let params = [
            ("ImageId", image.as_str()),
            ("ResourceType.1.ResourceType", "ec2:Instance"),
            ("ResourceType.1.ResourceTypeOption.1.OptionName", option),
            ("ResourceType.1.ResourceTypeOption.1.OptionValue.1", value),
        ];
        world.client_of(ACCOUNT, SOURCE_REGION).ec2("CreateImageUsageReport", &params).code()
    };
    assert_eq!(report("state-name", "running"), "InvalidParameterValue");
    assert_eq!(report("version-depth", "1"), "InvalidParameterValue");
}

#[test]
fn one_usage_report_of_an_image_is_pending_at_a_time() {
    let world = world();
    let (image, other) = (world.source(), world.seed(SeedImage::default()));
    let client = world.client_of(ACCOUNT, SOURCE_REGION);
    let report = |image: &str| {
        let params = [("ImageId", image), ("ResourceType.1.ResourceType", "ec2:Instance")];
        client.ec2("CreateImageUsageReport", &params).code()
    };
    assert_eq!(report(&image), "OK");
    assert_eq!(report(&image), "ResourceLimitExceeded");
    assert_eq!(report(&other), "OK");
    world.pass(SignedDuration::from_mins(1));
    assert_eq!(report(&image), "OK");
}

#[test]
fn a_token_has_at_most_64_characters_and_of_templates_and_usage_reports_128() {
    let world = world();
    let client = world.client_of(ACCOUNT, SOURCE_REGION);
    let image = world.source();
    let call = |operation: &str, length: usize, more: &[(&str, &str)]| {
        let token = "t".repeat(length);
        let mut params = vec![("ClientToken", token.as_str())];
        params.extend(more);
        client.ec2(operation, &params).code()
    };
    let template = [("LaunchTemplateName", "web"), ("LaunchTemplateData.KeyName", "k")];
    for (operation, params) in [
        ("CreateLaunchTemplate", &template[..]),
        ("CreateLaunchTemplateVersion", &template),
        ("ModifyLaunchTemplate", &[("LaunchTemplateName", "web"), ("SetDefaultVersion", "2")]),
        ("CreateImageUsageReport", &[("ImageId", &image), ("ResourceType.1.ResourceType", "ec2:Instance")]),
    ] {
        assert_eq!(call(operation, 129, params), "InvalidParameterValue", "{operation}");
        assert_eq!(call(operation, 128, params), "OK", "{operation}");
    }
    let one = [("ImageId", image.as_str()), ("MinCount", "1"), ("MaxCount", "1")];
    assert_eq!(call("RunInstances", 65, &one), "InvalidParameterValue");
    assert_eq!(call("RunInstances", 64, &one), "OK");
}
