//! RunInstances and launch templates.

use crate::client::{ACCOUNT, Client, Reply, SOURCE_REGION, world};
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
