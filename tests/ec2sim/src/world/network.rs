//! The default network of an account in a region: a VPC with a subnet in each zone.
//! <https://docs.aws.amazon.com/vpc/latest/userguide/default-vpc-components.html>. There is no other, and it cannot be changed.

use serde::Deserialize;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::filters::{Filter, Filtered, Matcher, Values, one, written};
use crate::world::tags::Tags;
use crate::world::zones::{LETTERS, zone_id};

/// The network of an account in a region. Its ids follow from both.
pub(crate) struct Network {
    account: String,
    region: String,
}

const VPC_BLOCK: &str = "172.31.0.0/16";
const NO_TAGS: &Tags = &Tags::new();

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DescribeNetwork {
    #[serde(default, rename = "VpcId")]
    vpcs: Vec<String>,
    #[serde(default, rename = "SubnetId")]
    subnets: Vec<String>,
    #[serde(default, rename = "Filter")]
    filters: Vec<Filter>,
    #[serde(rename = "MaxResults")]
    _max_results: Option<i64>,
    #[serde(rename = "NextToken")]
    _next_token: Option<String>,
}

/// A subnet, with the network that it is part of.
struct Subnet {
    id: String,
    vpc: String,
    owner: String,
    zone: String,
    zone_id: String,
    /// The third number of its addresses.
    block: u8,
}

struct Vpc {
    id: String,
    owner: String,
}

impl Network {
    pub(crate) fn of(account: &str, region: &str) -> Self {
        Self { account: account.to_owned(), region: region.to_owned() }
    }

    /// An id that is always the same for the same things: FNV-1a of their names.
    fn id(&self, prefix: &str, of: &str) -> String {
        let names = [&self.account, &self.region, prefix, of].map(|name| format!("{name} "));
        let hash = names
            .concat()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        format!("{prefix}0{hash:016x}")
    }

    pub(crate) fn vpc(&self) -> String {
        self.id("vpc-", "")
    }

    pub(crate) fn subnet(&self, zone: &str) -> String {
        self.id("subnet-", zone)
    }

    /// The zone of a subnet.
    pub(crate) fn zone_of(&self, subnet: &str) -> Result<String, ApiError> {
        let zones = LETTERS.map(|letter| format!("{}{letter}", self.region));
        let zone = zones.into_iter().find(|zone| self.subnet(zone) == subnet);
        zone.ok_or_else(|| {
            ApiError::new("InvalidSubnetID.NotFound", format!("The subnet ID '{subnet}' does not exist"))
        })
    }

    /// The VPC that a call names, if it names one: there is no other.
    pub(crate) fn check_vpc(&self, named: Option<String>) -> Result<String, ApiError> {
        let named: Vec<String> = named.into_iter().collect();
        check_known("InvalidVpcID.NotFound", "vpc ID", &named, &[self.vpc()])?;
        Ok(self.vpc())
    }

    /// The default security group.
    pub(crate) fn group(&self) -> String {
        self.id("sg-", "")
    }

    /// The address of an instance.
    pub(crate) fn address(&self, zone: &str, instance: &str) -> String {
        let number = self.id("eni-", instance).bytes().map(u32::from).fold(0, |sum, byte| sum * 31 % 4093 + byte);
        let block = u32::from(block_of(zone)) + number / 256 % 16;
        format!("172.31.{block}.{}", number % 256)
    }

    /// Where an instance is on the network.
    pub(crate) fn write_place(&self, x: &mut Xml, zone: &str, instance: &str) {
        let address = self.address(zone, instance);
        let domain = match self.region.as_str() {
            "us-east-1" => "ec2.internal".to_owned(),
            region => format!("{region}.compute.internal"),
        };
        x.text("privateIpAddress", &address)
            .text("privateDnsName", format_args!("ip-{}.{domain}", address.replace('.', "-")))
            .text("vpcId", self.vpc())
            .text("subnetId", self.subnet(zone));
    }
}

/// Each zone has 4,096 addresses.
fn block_of(zone: &str) -> u8 {
    let letter = zone.bytes().next_back().unwrap_or(b'a');
    letter.saturating_sub(b'a').saturating_mul(16)
}

impl Filtered for Vpc {
    const FIELDS: &'static [(&'static str, Values<Self>)] = &[
        ("cidr", |_| one(VPC_BLOCK)),
        ("is-default", |_| one("true")),
        ("isDefault", |_| one("true")),
        ("owner-id", |vpc| one(&vpc.owner)),
        ("state", |_| one("available")),
        ("vpc-id", |vpc| one(&vpc.id)),
    ];

    fn tags(&self) -> &Tags {
        NO_TAGS
    }
}

impl Filtered for Subnet {
    const FIELDS: &'static [(&'static str, Values<Self>)] = &[
        ("availability-zone", |subnet| one(&subnet.zone)),
        ("availabilityZone", |subnet| one(&subnet.zone)),
        ("availability-zone-id", |subnet| one(&subnet.zone_id)),
        ("cidr-block", |subnet| written(subnet.cidr())),
        ("default-for-az", |_| one("true")),
        ("defaultForAz", |_| one("true")),
        ("owner-id", |subnet| one(&subnet.owner)),
        ("state", |_| one("available")),
        ("subnet-id", |subnet| one(&subnet.id)),
        ("vpc-id", |subnet| one(&subnet.vpc)),
    ];

    fn tags(&self) -> &Tags {
        NO_TAGS
    }
}

impl Subnet {
    fn cidr(&self) -> String {
        format!("172.31.{}.0/20", self.block)
    }
}

impl World {
    pub(crate) fn describe_vpcs(&mut self, cx: &Context, input: DescribeNetwork) -> Result<Xml, ApiError> {
        let network = Network::of(&cx.account, &cx.region);
        let vpc = Vpc { id: network.vpc(), owner: cx.account.clone() };
        check_known("InvalidVpcID.NotFound", "vpc ID", &input.vpcs, std::slice::from_ref(&vpc.id))?;
        let matcher = Matcher::new(&input.filters)?;
        let mut x = Xml::new();
        x.list("vpcSet", Some(vpc).filter(|vpc| matcher.passes(vpc, &cx.account)), |x, vpc| {
            x.text("vpcId", &vpc.id)
                .text("ownerId", &vpc.owner)
                .text("state", "available")
                .text("cidrBlock", VPC_BLOCK)
                .text("instanceTenancy", "default")
                .text("isDefault", true);
        });
        Ok(x)
    }

    pub(crate) fn describe_subnets(&mut self, cx: &Context, input: DescribeNetwork) -> Result<Xml, ApiError> {
        let network = Network::of(&cx.account, &cx.region);
        let subnets = LETTERS.map(|letter| {
            let zone = format!("{}{letter}", cx.region);
            Subnet {
                id: network.subnet(&zone),
                vpc: network.vpc(),
                owner: cx.account.clone(),
                zone_id: zone_id(&zone),
                block: block_of(&zone),
                zone,
            }
        });
        let known: Vec<String> = subnets.iter().map(|subnet| subnet.id.clone()).collect();
        check_known("InvalidSubnetID.NotFound", "subnet ID", &input.subnets, &known)?;
        let matcher = Matcher::new(&input.filters)?;
        let wanted = |subnet: &Subnet| {
            (input.subnets.is_empty() || input.subnets.contains(&subnet.id)) && matcher.passes(subnet, &cx.account)
        };
        let mut x = Xml::new();
        x.list("subnetSet", subnets.into_iter().filter(wanted), |x, subnet| {
            x.text("subnetId", &subnet.id)
                .text("vpcId", &subnet.vpc)
                .text("ownerId", &subnet.owner)
                .text("state", "available")
                .text("cidrBlock", subnet.cidr())
                .text("availableIpAddressCount", 4091)
                .text("availabilityZone", &subnet.zone)
                .text("availabilityZoneId", &subnet.zone_id)
                .text("defaultForAz", true)
                .text("mapPublicIpOnLaunch", true);
        });
        Ok(x)
    }
}

fn check_known(code: &'static str, what: &str, named: &[String], known: &[String]) -> Result<(), ApiError> {
    match named.iter().find(|id| !known.contains(id)) {
        Some(id) => Err(ApiError::new(code, format!("The {what} '{id}' does not exist"))),
        None => Ok(()),
    }
}
