//! From HTTP to a [`Request`], and from what the world says to an HTTP [`Answer`].

pub(crate) mod query;
pub(crate) mod xml;

use serde_json::{Value, json};

use crate::error::ApiError;
use crate::request::{Answer, Params, Request, Service};
use xml::Xml;

const EC2_NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";
/// The version of EC2's API that is simulated.
const EC2_VERSION: &str = "2016-11-15";
const STS_NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// What an operation answers when it succeeds.
#[derive(Debug)]
pub(crate) enum Reply {
    Xml(Xml),
    Json(Value),
}

/// What the scope of a signature says: `AKID/20261124/us-east-1/ec2/aws4_request`.
struct Scope {
    access_key: String,
    region: String,
    service: Service,
}

/// Reads a call. An error here is answered before the world has seen anything.
pub(crate) fn parse(parts: &http::request::Parts, body: &[u8]) -> Result<Request, Answer> {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let scope = parse_scope(header("authorization")).map_err(|error| render_error(Service::Ec2, &error, ""))?;
    let Scope { access_key, region, service } = scope;
    let refuse = |error: ApiError| render_error(service, &error, "");
    let body = std::str::from_utf8(body)
        .map_err(|_| refuse(ApiError::new("MalformedQueryString", "The body is not UTF-8")))?;
    let (operation, params) = match service {
        Service::Ssm => parse_json("AmazonSSM.", header("x-amz-target"), body),
        Service::Kms => parse_json("TrentService.", header("x-amz-target"), body),
        Service::Ec2 | Service::Sts => parse_query(service, parts.uri.query(), body),
    }
    .map_err(refuse)?;
    Ok(Request { service, region, access_key, operation, params })
}

fn parse_scope(authorization: Option<&str>) -> Result<Scope, ApiError> {
    let credential = authorization
        .and_then(|header| header.split_once("Credential="))
        .map(|(_, rest)| rest.split([',', ' ']).next().unwrap_or_default())
        .ok_or_else(|| {
            ApiError::new("MissingAuthenticationToken", "Request is missing Authentication Token").with_status(403)
        })?;
    let parts: Vec<&str> = credential.split('/').collect();
    let [access_key, _date, region, service, "aws4_request"] = parts[..] else {
        return Err(ApiError::new("IncompleteSignature", format!("Credential '{credential}' is malformed")));
    };
    let service = match service {
        "ec2" => Service::Ec2,
        "ssm" => Service::Ssm,
        "sts" => Service::Sts,
        "kms" => Service::Kms,
        other => {
            return Err(ApiError::new("InvalidAction", format!("The service {other} is not simulated")));
        }
    };
    Ok(Scope { access_key: access_key.to_owned(), region: region.to_owned(), service })
}

fn parse_query(service: Service, query: Option<&str>, body: &str) -> Result<(String, Params), ApiError> {
    let mut params = query::decode_form(query.unwrap_or_default());
    params.append(&mut query::decode_form(body));
    let version = params.remove("Version");
    if service == Service::Ec2 && version.is_some_and(|version| version != EC2_VERSION) {
        return Err(ApiError::new("NoSuchVersion", "The specified API version does not exist."));
    }
    let operation = params
        .remove("Action")
        .ok_or_else(|| ApiError::new("MissingAction", "The request is missing an action or a required parameter"))?;
    Ok((operation, Params::Query(params)))
}

fn parse_json(prefix: &str, target: Option<&str>, body: &str) -> Result<(String, Params), ApiError> {
    let operation = target.and_then(|target| target.strip_prefix(prefix)).ok_or_else(|| {
        ApiError::new("UnknownOperationException", format!("X-Amz-Target names no operation of {prefix}"))
    })?;
    let params: Value =
        serde_json::from_str(body).map_err(|error| ApiError::new("SerializationException", error.to_string()))?;
    Ok((operation.to_owned(), Params::Json(params)))
}

/// The answer to a call that succeeded.
pub(crate) fn render(service: Service, operation: &str, reply: Reply, request_id: &str) -> Answer {
    let xml = match reply {
        Reply::Json(value) => return json_answer(200, &value, request_id),
        Reply::Xml(xml) => xml.into_string(),
    };
    let (open, close) = match service {
        Service::Sts => (
            format!("<{operation}Response xmlns=\"{STS_NAMESPACE}\"><{operation}Result>"),
            format!(
                "</{operation}Result><ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>\
                 </{operation}Response>"
            ),
        ),
        _ => (
            format!("<{operation}Response xmlns=\"{EC2_NAMESPACE}\"><requestId>{request_id}</requestId>"),
            format!("</{operation}Response>"),
        ),
    };
    xml_answer(200, &[&open, &xml, &close], request_id)
}

/// The answer to a call that was refused.
pub(crate) fn render_error(service: Service, error: &ApiError, request_id: &str) -> Answer {
    let mut inside = Xml::new();
    match service {
        Service::Ssm | Service::Kms => {
            let body = json!({"__type": error.code, "message": error.message});
            return json_answer(error.status, &body, request_id);
        }
        Service::Ec2 => inside.nest("Response", |x| {
            x.nest("Errors", |x| {
                x.nest("Error", |x| {
                    x.text("Code", &error.code).text("Message", &error.message);
                });
            })
            .text("RequestID", request_id);
        }),
        Service::Sts => inside.nest("ErrorResponse", |x| {
            x.nest("Error", |x| {
                let kind = if error.status < 500 { "Sender" } else { "Receiver" };
                x.text("Type", kind).text("Code", &error.code).text("Message", &error.message);
            })
            .text("RequestId", request_id);
        }),
    };
    xml_answer(error.status, &[&inside.into_string()], request_id)
}

/// Joins the parts at once: a page of a list is more than a megabyte.
fn xml_answer(status: u16, parts: &[&str], request_id: &str) -> Answer {
    let all: Vec<&str> = [DECLARATION].into_iter().chain(parts.iter().copied()).collect();
    let body = all.concat();
    Answer { status, content_type: "text/xml;charset=UTF-8", body, request_id: request_id.to_owned() }
}

fn json_answer(status: u16, body: &Value, request_id: &str) -> Answer {
    Answer {
        status,
        content_type: "application/x-amz-json-1.1",
        body: body.to_string(),
        request_id: request_id.to_owned(),
    }
}
