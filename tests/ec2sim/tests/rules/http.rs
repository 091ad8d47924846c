//! The door on loopback.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::client::world;
use ec2sim::{Effect, Fault, serve};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Sends one request and answers all that comes back.
async fn send(address: &str, method: &str, path: &str, service: &str, body: &str) -> String {
    let scope = format!("Credential=111111111111/20261124/us-east-1/{service}/aws4_request");
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: AWS4-HMAC-SHA256 {scope}, Signature=none\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let address = address.to_owned();
    let exchange = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        // A connection that is closed without an answer may also be reset.
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    tokio::task::spawn_blocking(exchange).await.unwrap()
}

fn body_of(answer: &str) -> Value {
    serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap()
}

#[tokio::test]
async fn the_loopback_door_and_the_admin_endpoint_lead_to_the_same_world() {
    let world = world();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(serve(listener, world.sim.clone()));

    let seed = json!({"region": "us-east-1", "name": "web-1"}).to_string();
    let image = body_of(&send(&address, "POST", "/_admin/images", "ec2", &seed).await)["id"].clone();
    let listed = send(&address, "POST", "/", "ec2", "Action=DescribeImages&Version=2016-11-15&Owner.1=self").await;
    assert!(listed.starts_with("HTTP/1.1 200"));
    assert!(listed.contains(&format!("<imageId>{}</imageId>", image.as_str().unwrap())));
    let caller = send(&address, "POST", "/", "sts", "Action=GetCallerIdentity&Version=2011-06-15").await;
    assert!(caller.contains("<Account>111111111111</Account>"));
    let counts = body_of(&send(&address, "GET", "/_admin/calls/counts", "ec2", "").await);
    assert_eq!(counts[0]["operation"], "DescribeImages");
}

#[tokio::test]
async fn a_dropped_reply_closes_the_connection_without_an_answer() {
    let world = world();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(serve(listener, world.sim.clone()));
    world.sim.add_fault(Fault::new(Effect::DropReply).times(1));
    assert_eq!(send(&address, "POST", "/", "ec2", "Action=DescribeImages").await, "");
    assert_eq!(world.sim.count("DescribeImages"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_delay_passes_on_the_clock_of_the_runtime() {
    let world = world();
    world.sim.add_fault(Fault::new(Effect::Delay(90_000)).times(1));
    let (parts, ()) = ::http::Request::post("/")
        .header("authorization", "Credential=111111111111/20261124/us-east-1/ec2/aws4_request")
        .body(())
        .unwrap()
        .into_parts();
    let before = tokio::time::Instant::now();
    let answer = world.sim.answer(&parts, b"Action=DescribeImages").await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(before.elapsed().as_secs(), 90);
}

#[tokio::test]
async fn ec2_has_one_version() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(serve(listener, world().sim));

    let describe = |version: &str| format!("Action=DescribeRegions&Version={version}");
    let known = send(&address, "POST", "/", "ec2", &describe("2016-11-15")).await;
    assert!(known.starts_with("HTTP/1.1 200"));
    let unknown = send(&address, "POST", "/", "ec2", &describe("1999-01-01")).await;
    assert!(unknown.starts_with("HTTP/1.1 400") && unknown.contains("<Code>NoSuchVersion</Code>"));
}
