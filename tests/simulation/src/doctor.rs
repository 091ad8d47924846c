//! Doctored histories: faults put in at the door that a wrong program would show, so that the checkers themselves are tested.

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use clap::ValueEnum;

use crate::door::Call;

/// What is done to calls on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Doctor {
    /// CopyImage loses its ClientToken.
    StripToken,
    /// CopyImage loses its tags.
    StripTags,
    /// Nobody seems to use any image.
    EmptyReferences,
    /// Nobody seems to be allowed to launch any image.
    EmptyPermissions,
    /// Listings of images are answered empty.
    EmptyListing,
    /// Listings of images come in pages, of which only the first arrives.
    DropPage,
    /// Images of one object seem to belong to the other, so that both act on them.
    TwoOwners,
    /// Tags are written to a source instead of an image of ours.
    TagTheSource,
    /// Parameters are made to name the source.
    PublishTheSource,
    /// Deregistering is answered, but not done.
    DeregisterNothing,
}

impl Doctor {
    /// The request as it goes on.
    pub(crate) fn request(self, call: &Call, request: HttpRequest) -> HttpRequest {
        let drop_prefixes: &[&str] = match (self, call.operation.as_str()) {
            (Self::StripToken, "CopyImage") => &["ClientToken"],
            (Self::StripTags, "CopyImage") => &["TagSpecification"],
            _ => &[],
        };
        if !drop_prefixes.is_empty() {
            let kept = call.parameters.iter().filter(|(key, _)| !drop_prefixes.iter().any(|p| key.starts_with(p)));
            return form(request, kept.map(|(key, value)| (key.as_str(), value.as_str())));
        }
        match (self, call.operation.as_str()) {
            (Self::DropPage, "DescribeImages") if call.get("MaxResults").is_some() => {
                let sized = |(key, value)| if key == "MaxResults" { (key, "1") } else { (key, value) };
                form(request, call.parameters.iter().map(|(k, v)| (k.as_str(), v.as_str())).map(sized))
            }
            (Self::TagTheSource, "CreateTags") => {
                let source = crate::manifest::source_id("web", 0);
                let resource = |key: &str| key.starts_with("ResourceId");
                let changed = |(key, value)| if resource(key) { (key, source.as_str()) } else { (key, value) };
                form(request, call.parameters.iter().map(|(k, v)| (k.as_str(), v.as_str())).map(changed))
            }
            (Self::PublishTheSource, "PutParameter") => {
                let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned();
                let value = call.get("Value").unwrap_or_default();
                with_body(request, body.replace(value, &crate::manifest::source_id("web", 0)))
            }
            (Self::DeregisterNothing, "DeregisterImage") => {
                form(request, [("Action", "DescribeRegions"), ("Version", "2016-11-15")].into_iter())
            }
            _ => request,
        }
    }

    /// The answer as it comes back.
    pub(crate) fn answer(self, call: &Call, answer: HttpResponse) -> HttpResponse {
        let change: fn(String) -> String = match (self, call.operation.as_str()) {
            (Self::EmptyReferences, "DescribeImageReferences") => |text| emptied(text, "imageReferenceSet"),
            (Self::EmptyPermissions, "DescribeImageAttribute") => |text| emptied(text, "launchPermission"),
            (Self::EmptyListing, "DescribeImages") => |text| emptied(text, "imagesSet"),
            (Self::DropPage, "DescribeImages") => |text| emptied(text, "nextToken"),
            (Self::TwoOwners, "DescribeImages") => |text| text.replace("sim/images/db", "sim/images/web"),
            _ => return answer,
        };
        let text = String::from_utf8_lossy(answer.body().bytes().unwrap_or_default()).into_owned();
        let mut answer = answer;
        *answer.body_mut() = change(text).into();
        answer
    }
}

/// The text without what an element holds.
fn emptied(text: String, element: &str) -> String {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    match (text.find(&open), text.rfind(&close)) {
        (Some(start), Some(end)) => format!("{}{}", &text[..start + open.len()], &text[end..]),
        _ => text,
    }
}

fn form<'a>(request: HttpRequest, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> HttpRequest {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    with_body(request, body)
}

fn with_body(mut request: HttpRequest, body: String) -> HttpRequest {
    *request.body_mut() = body.into();
    request
}
