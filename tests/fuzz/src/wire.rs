//! The answers of EC2, STS and SSM as bytes: mostly as they are documented, with any content; sometimes broken.

use std::fmt::Write as _;

use serde_json::json;

use crate::draw::Draw;
use crate::text;

/// A status and a body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// The answer to an operation.
pub(crate) fn answer(operation: &str, draw: &mut Draw) -> Answer {
    let is_ssm = ["PutParameter", "GetParameters", "DeleteParameter", "ListTagsForResource"].contains(&operation);
    if draw.one_in(10) {
        let (code, message) = (code(draw), message(draw));
        let body = match is_ssm {
            true => json!({"__type": code, "message": message}).to_string(),
            false => format!(
                "<Response><Errors><Error><Code>{}</Code><Message>{}</Message></Error></Errors></Response>",
                escaped(&code),
                escaped(&message)
            ),
        };
        return Answer { status: draw.pick(&[400, 403, 404, 429, 500, 503]), body };
    }
    let whole = if is_ssm { parameters(operation, draw) } else { document(operation, draw) };
    let body = if draw.one_in(24) { text::spoil(&whole, draw) } else { whole };
    Answer { status: 200, body }
}

fn code(draw: &mut Draw) -> String {
    let known = [
        "RequestLimitExceeded",
        "UnauthorizedOperation",
        "InvalidAMIID.NotFound",
        "InvalidSnapshot.InUse",
        "IdempotentParameterMismatch",
        "ParameterAlreadyExists",
        "ParameterNotFound",
        "SomethingNew",
    ];
    if draw.one_in(4) { draw.line() } else { draw.pick(&known).to_owned() }
}

fn message(draw: &mut Draw) -> String {
    match draw.below(4) {
        0 => "not now".to_owned(),
        1 => format!("{} Encoded authorization failure message: {}", draw.text(), draw.text()),
        2 => "ä𝟙.".repeat(150),
        _ => draw.line(),
    }
}

fn document(operation: &str, draw: &mut Draw) -> String {
    let content = match operation {
        "DescribeImages" => items("imagesSet", 4, image, draw) + &token(draw),
        "DescribeSnapshots" => items("snapshotSet", 3, snapshot, draw) + &token(draw),
        "DescribeImageReferences" => items("imageReferenceSet", 2, reference, draw) + &token(draw),
        "DescribeImageAttribute" => items("launchPermission", if draw.one_in(4) { 3 } else { 1 }, permission, draw),
        "CopyImage" => element("imageId", &id("ami", draw)),
        "DeregisterImage" => items("deleteSnapshotResultSet", 3, result, draw),
        "GetCallerIdentity" => {
            let account = element("Account", draw.pick(&["111111111111", "222222222222", ""]));
            format!("<GetCallerIdentityResult>{account}</GetCallerIdentityResult>")
        }
        _ => element("return", "true"),
    };
    format!("<{operation}Response>{content}</{operation}Response>")
}

fn image(draw: &mut Draw) -> String {
    let mut image = element("imageId", &id("ami", draw));
    let fields = [
        ("name", draw.pick(&["web-1.0", "web-2.0", "other"]).to_owned()),
        ("imageOwnerId", draw.pick(&["111111111111", "222222222222", ""]).to_owned()),
        (
            "imageState",
            draw.pick(&["available", "available", "pending", "failed", "disabled", "deregistered", "new"]).to_owned(),
        ),
        ("creationDate", date(draw)),
        ("sourceImageId", draw.pick(&["ami-00000001", "ami-00000002", "ami-0aa11bb22cc33dd44"]).to_owned()),
        ("sourceImageRegion", draw.pick(&["us-east-1", "us-east-1", "eu-west-1", ""]).to_owned()),
        ("deregistrationProtection", draw.pick(&["disabled", "disabled", "", "enabled-with-cooldown"]).to_owned()),
    ];
    for (name, value) in fields {
        if !draw.one_in(16) {
            image += &element(name, &value);
        }
    }
    if draw.one_in(4) {
        _ = write!(image, "<stateReason>{}</stateReason>", element("message", &draw.line()));
    }
    image
        + &tags(draw)
        + &items(
            "blockDeviceMapping",
            3,
            |draw| format!("<ebs>{}</ebs>", element("snapshotId", &id("snap", draw))),
            draw,
        )
}

fn snapshot(draw: &mut Draw) -> String {
    let state = draw.pick(&["completed", "pending", "error", "new"]);
    element("snapshotId", &id("snap", draw))
        + &element("status", state)
        + &element("startTime", &date(draw))
        + &tags(draw)
}

fn tags(draw: &mut Draw) -> String {
    let all: String = (0..5).map(|number| format!("<item>{}</item>", tag(number, draw))).collect();
    format!("<tagSet>{all}</tagSet>")
}

/// The tag of this number, mostly right.
fn tag(number: usize, draw: &mut Draw) -> String {
    let version = draw.pick(&["1.0", "2.0", "0.9", "0.8"]);
    let (key, value) = [
        ("amiops.dev/owner", "default/images/web"),
        ("amiops.dev/version", version),
        ("amiops.dev/source", draw.pick(&["us-east-1/ami-00000001", "us-east-1/ami-00000002"])),
        ("amiops.dev/attempt", draw.pick(&["1", "2", "4294967295"])),
        ("amiops.dev/released-at", "2026-01-01T00:00:00Z"),
    ][number];
    let value = if draw.one_in(10) { text::spoil(value, draw) } else { value.to_owned() };
    let key = if draw.one_in(20) { "team" } else { key };
    element("key", key) + &element("value", &value)
}

fn reference(draw: &mut Draw) -> String {
    let arns = [
        "arn:aws:ssm:us-east-1:111111111111:parameter/golden/web",
        "arn:aws:ec2:us-east-1:111111111111:instance/i-1",
        ":parameter/",
        "",
        "ä/",
    ];
    let arn = if draw.one_in(4) { draw.line() } else { draw.pick(&arns).to_owned() };
    element("imageId", &id("ami", draw))
        + &element("resourceType", draw.pick(&["ec2:Instance", "ssm:Parameter", "new"]))
        + &element("arn", &arn)
}

fn permission(draw: &mut Draw) -> String {
    let fields = ["userId", "group", "organizationArn", "organizationalUnitArn", "new"];
    element(draw.pick(&fields), draw.pick(&["all", "333333333333", ""]))
}

fn result(draw: &mut Draw) -> String {
    let code = draw.pick(&["success", "skipped", "internal-error", "new"]);
    element("snapshotId", &id("snap", draw)) + &element("returnCode", code)
}

fn parameters(operation: &str, draw: &mut Draw) -> String {
    let dates = [json!(1_800_000_000), json!(1.8e9), json!(-1), json!(1e18), json!(null)];
    match operation {
        "GetParameters" => {
            let parameter = |draw: &mut Draw| {
                let value = if draw.one_in(4) { draw.line() } else { id("ami", draw) };
                json!({"Name": "/golden/web", "Value": value, "LastModifiedDate": draw.pick(&dates)})
            };
            let found: Vec<_> = (0..draw.below(3)).map(|_| parameter(draw)).collect();
            json!({"Parameters": found, "InvalidParameters": []}).to_string()
        }
        "ListTagsForResource" => {
            let owner = if draw.one_in(3) { draw.line() } else { "default/images/web".to_owned() };
            json!({"TagList": [{"Key": "amiops.dev/owner", "Value": owner}]}).to_string()
        }
        _ => json!({"Version": draw.number()}).to_string(),
    }
}

fn id(kind: &str, draw: &mut Draw) -> String {
    format!("{kind}-0000000{}", draw.below(9))
}

fn date(draw: &mut Draw) -> String {
    let odd = ["9999-12-30T21:59:59Z", "9999-12-31T23:59:59Z", "0000-01-01T00:00:00Z", "", "now", "1800000000"];
    match draw.below(8) {
        7 => draw.pick(&odd).to_owned(),
        _ => format!("2026-{:02}-{:02}T06:00:00.000Z", 1 + draw.below(12), 1 + draw.below(28)),
    }
}

fn token(draw: &mut Draw) -> String {
    if draw.one_in(10) { element("nextToken", "more") } else { String::new() }
}

fn items(name: &str, most: usize, item: impl Fn(&mut Draw) -> String, draw: &mut Draw) -> String {
    let list: String = (0..draw.below(most)).map(|_| format!("<item>{}</item>", item(draw))).collect();
    format!("<{name}>{list}</{name}>")
}

fn element(name: &str, value: &str) -> String {
    format!("<{name}>{}</{name}>", escaped(value))
}

fn escaped(value: &str) -> String {
    value.replace('&', "&amp;").replace('<', "&lt;")
}
