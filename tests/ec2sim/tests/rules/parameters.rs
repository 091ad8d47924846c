//! The Parameter Store and STS.

use crate::client::{ACCOUNT, OTHER, SOURCE_REGION, world, world_with};
use jiff::SignedDuration;
use serde_json::{Value, json};

#[test]
fn an_image_parameter_is_written_only_after_its_validation_and_only_if_the_image_is_available() {
    let world = world_with(|config| config.parameter_delay = SignedDuration::from_secs(2));
    let image = world.source();
    let client = world.client_of(ACCOUNT, SOURCE_REGION);
    let put = |name: &str, value: &str| {
        client.ssm("PutParameter", json!({"Name": name, "Value": value, "Type": "String", "DataType": "aws:ec2:image"}))
    };
    assert_eq!(put("/good", &image).json()["Version"], 1);
    assert_eq!(put("/bad", "ami-00000000000000000").code(), "OK");
    assert_eq!(client.ssm("GetParameter", json!({"Name": "/good"})).code(), "ParameterNotFound");
    world.pass(SignedDuration::from_secs(2));
    assert_eq!(client.ssm("GetParameter", json!({"Name": "/good"})).json()["Parameter"]["Value"], json!(image));
    assert_eq!(client.ssm("GetParameter", json!({"Name": "/bad"})).code(), "ParameterNotFound");
}

#[test]
fn a_parameter_is_overwritten_only_on_request_and_keeps_its_history() {
    let world = world();
    let client = world.client();
    let put = |value: &str, overwrite: bool| {
        client.ssm("PutParameter", json!({"Name": "/a", "Value": value, "Type": "String", "Overwrite": overwrite}))
    };
    assert_eq!(put("one", false).code(), "OK");
    assert_eq!(put("two", false).code(), "ParameterAlreadyExists");
    assert_eq!(put("two", true).json()["Version"], 2);
    let labelled =
        client.ssm("LabelParameterVersion", json!({"Name": "/a", "ParameterVersion": 1, "Labels": ["old", "1x"]}));
    assert_eq!(labelled.json()["InvalidLabels"], json!(["1x"]));
    assert_eq!(client.ssm("GetParameter", json!({"Name": "/a:old"})).json()["Parameter"]["Value"], "one");
    let history = client.ssm("GetParameterHistory", json!({"Name": "/a"})).json();
    assert_eq!(history["Parameters"].as_array().unwrap().len(), 2);
}

#[test]
fn a_label_on_the_oldest_of_100_versions_blocks_further_ones() {
    let world = world();
    let client = world.client();
    let put = || client.ssm("PutParameter", json!({"Name": "/a", "Value": "v", "Type": "String", "Overwrite": true}));
    for _ in 0..100 {
        assert_eq!(put().code(), "OK");
    }
    client.ssm("LabelParameterVersion", json!({"Name": "/a", "ParameterVersion": 1, "Labels": ["keep"]}));
    let refused = put();
    assert_eq!(refused.code(), "ParameterMaxVersionLimitExceeded");
    assert!(refused.message().contains("Version 1, the oldest version, can't be deleted"));
}

#[test]
fn a_parameter_neither_becomes_nor_ceases_to_be_one_of_an_image() {
    let world = world();
    let image = world.source();
    let client = world.client_of(ACCOUNT, SOURCE_REGION);
    let put = |name: &str, data_type: &str| {
        let put = json!({"Name": name, "Value": image, "Type": "String", "DataType": data_type, "Overwrite": true});
        client.ssm("PutParameter", put).code()
    };
    for (name, data_type, other) in [("/image", "aws:ec2:image", "text"), ("/text", "text", "aws:ec2:image")] {
        assert_eq!(put(name, data_type), "OK");
        assert_eq!(put(name, other), "ValidationException");
        assert_eq!(put(name, data_type), "OK");
        let found = client.ssm("GetParameter", json!({"Name": name})).json();
        assert_eq!((&found["Parameter"]["DataType"], &found["Parameter"]["Version"]), (&json!(data_type), &json!(2)));
    }
}

#[test]
fn an_overwrite_without_a_data_type_keeps_that_of_the_parameter_and_is_not_validated() {
    let world = world();
    let client = world.client_of(ACCOUNT, SOURCE_REGION);
    let named = json!({"Name": "/a", "Value": world.source(), "Type": "String", "DataType": "aws:ec2:image"});
    client.ssm("PutParameter", named);
    client.ssm("PutParameter", json!({"Name": "/a", "Value": "by hand", "Overwrite": true}));
    let found = client.ssm("GetParameter", json!({"Name": "/a"})).json();
    let found = &found["Parameter"];
    assert_eq!((&found["Value"], &found["DataType"]), (&json!("by hand"), &json!("aws:ec2:image")));
}

#[test]
fn a_secret_is_not_decrypted_while_its_key_is_disabled() {
    let world = world();
    let client = world.client();
    let key = client.kms("CreateKey", json!({})).json()["KeyMetadata"]["KeyId"].clone();
    let put = json!({"Name": "/web/secret", "Value": "word", "Type": "SecureString", "KeyId": key});
    client.ssm("PutParameter", put);
    let read = |decrypted: bool| {
        [
            ("GetParameter", json!({"Name": "/web/secret", "WithDecryption": decrypted})),
            ("GetParameters", json!({"Names": ["/web/secret"], "WithDecryption": decrypted})),
            ("GetParametersByPath", json!({"Path": "/web", "WithDecryption": decrypted})),
            ("GetParameterHistory", json!({"Name": "/web/secret", "WithDecryption": decrypted})),
        ]
        .map(|(operation, input)| client.ssm(operation, input).code())
    };
    assert_eq!(read(true), ["OK"; 4]);
    client.kms("DisableKey", json!({"KeyId": key}));
    assert_eq!(read(true), ["InvalidKeyId"; 4]);
    assert_eq!(read(false), ["OK"; 4]);
}

#[test]
fn a_path_is_filtered_by_recursive_or_one_level() {
    let world = world();
    let client = world.client();
    client.ssm("PutParameter", json!({"Name": "/a/b", "Value": "v", "Type": "String"}));
    let describe = |option: &str| {
        let filter = json!({"Key": "Path", "Option": option, "Values": ["/a"]});
        client.ssm("DescribeParameters", json!({"ParameterFilters": [filter]})).code()
    };
    assert_eq!(["Recursive", "OneLevel", "Equals"].map(describe), ["OK", "OK", "InvalidFilterOption"]);
}

#[test]
fn a_path_filtered_by_a_label_lists_the_versions_that_have_it() {
    let world = world();
    let client = world.client();
    for value in ["one", "two", "three"] {
        client.ssm("PutParameter", json!({"Name": "/a/b", "Value": value, "Type": "String", "Overwrite": true}));
    }
    for (version, label) in [(1, "old"), (2, "tried")] {
        client
            .ssm("LabelParameterVersion", json!({"Name": "/a/b", "ParameterVersion": version, "Labels": [label, "x"]}));
    }
    let values = |filters: Value| {
        let found = client.ssm("GetParametersByPath", json!({"Path": "/a", "ParameterFilters": filters})).json();
        let values = |entry: &Value| entry["Value"].as_str().unwrap().to_owned();
        found["Parameters"].as_array().unwrap().iter().map(values).collect::<Vec<_>>()
    };
    let labelled = |labels: &[&str]| values(json!([{"Key": "Label", "Values": labels}]));
    assert_eq!(values(json!([])), ["three"]);
    assert_eq!(labelled(&["old"]), ["one"]);
    assert_eq!(labelled(&["tried", "old"]), ["one", "two"]);
    assert!(labelled(&["none"]).is_empty());
}

#[test]
fn labels_are_taken_off_a_version_that_is_named() {
    let world = world();
    let client = world.client();
    client.ssm("PutParameter", json!({"Name": "/a", "Value": "v", "Type": "String"}));
    // Spaces around a name are left out.
    assert_eq!(client.ssm("LabelParameterVersion", json!({"Name": " /a ", "Labels": ["old"]})).code(), "OK");
    let unlabel = |version: Value| {
        let mut input = json!({"Name": "/a", "Labels": ["old"]});
        if !version.is_null() {
            input["ParameterVersion"] = version;
        }
        client.ssm("UnlabelParameterVersion", input).code()
    };
    assert_eq!([json!(null), json!(1)].map(unlabel), ["ValidationException", "OK"]);
}

#[test]
fn parameters_are_deleted_and_labelled_by_their_names_alone() {
    let world = world();
    let client = world.client();
    client.ssm("PutParameter", json!({"Name": "/a/b", "Value": "v", "Type": "String"}));
    let found = client.ssm("GetParameter", json!({"Name": "/a/b"})).json();
    let arn = &found["Parameter"]["ARN"];
    for (operation, input) in [
        ("LabelParameterVersion", json!({"Name": arn, "Labels": ["old"]})),
        ("UnlabelParameterVersion", json!({"Name": arn, "ParameterVersion": 1, "Labels": ["old"]})),
        ("DeleteParameter", json!({"Name": arn})),
    ] {
        assert_eq!(client.ssm(operation, input).code(), "ValidationException", "{operation}");
    }
    let answer = client.ssm("DeleteParameters", json!({"Names": [arn, "/a/b"]})).json();
    assert_eq!((&answer["InvalidParameters"], &answer["DeletedParameters"]), (&json!([arn]), &json!(["/a/b"])));
}

#[test]
fn a_data_type_that_is_not_simulated_is_refused_as_that_and_another_as_by_aws() {
    let world = world();
    let put = |data_type: &str| {
        let put = json!({"Name": "/a", "Value": "v", "Type": "String", "DataType": data_type});
        let refused = world.client().ssm("PutParameter", put);
        assert_eq!(refused.code(), "ValidationException");
        refused.message()
    };
    assert_eq!(put("aws:ssm:integration"), "The data type aws:ssm:integration is not simulated");
    assert_eq!(put("jsonc"), "The data type jsonc is not simulated");
    assert_eq!(put("Text"), "The following data type is not supported: Text (Data type names are all lowercase.)");
}

#[test]
fn a_name_has_no_empty_sub_path() {
    let world = world();
    for name in ["/a//b", "//a"] {
        let refused = world.client().ssm("PutParameter", json!({"Name": name, "Value": "v", "Type": "String"}));
        assert_eq!(refused.code(), "ValidationException", "{name}");
        assert!(
            refused.message().contains("can be formed as a mix of letters, numbers and the following 3 symbols .-_")
        );
    }
}

#[test]
fn tags_and_overwrite_do_not_go_together() {
    let world = world();
    let put =
        json!({"Name": "/a", "Value": "v", "Type": "String", "Overwrite": true, "Tags": [{"Key": "k", "Value": "v"}]});
    assert_eq!(world.client().ssm("PutParameter", put).code(), "ValidationException");
}

#[test]
fn names_that_lead_nowhere_come_back_as_invalid() {
    let world = world();
    let found = world.client().ssm("GetParameters", json!({"Names": ["/a", "/b"]})).json();
    assert_eq!(found["InvalidParameters"], json!(["/a", "/b"]));
    let many: Vec<String> = (0..11).map(|n| format!("/{n}")).collect();
    assert_eq!(world.client().ssm("GetParameters", json!({"Names": many})).code(), "ValidationException");
}

#[test]
fn an_unknown_operation_or_member_is_refused() {
    let world = world();
    assert_eq!(world.client().ssm("SendCommand", json!({})).code(), "UnknownOperationException");
    assert_eq!(world.client().ssm("GetParameter", json!({"Name": "/a", "Colour": 1})).code(), "ValidationException");
}

#[test]
fn the_credentials_of_a_role_lead_to_the_account_of_the_role() {
    let world = world();
    let role = format!("arn:aws:iam::{OTHER}:role/publisher");
    let assumed = world.client().sts("AssumeRole", &[("RoleArn", &role), ("RoleSessionName", "test")]);
    let key = assumed.text("AccessKeyId");
    let caller = world.client_of(&key, "us-east-1").sts("GetCallerIdentity", &[]);
    assert_eq!(caller.text("Account"), OTHER);
    assert_eq!(caller.text("Arn"), format!("arn:aws:sts::{OTHER}:assumed-role/publisher/test"));
    assert_eq!(world.client_of("AKIDEXAMPLE", "us-east-1").sts("GetCallerIdentity", &[]).text("Account"), ACCOUNT);
}
