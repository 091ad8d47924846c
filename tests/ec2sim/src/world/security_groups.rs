//! Security groups, as far as a tool that makes one for its instance needs them. No packet meets their rules.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::filters::{Filter, Filtered, Matcher, Values, one};
use crate::world::ids::SECURITY_GROUP;
use crate::world::network::Network;
use crate::world::paging::Paging;
use crate::world::tags::{self, TagSpecification, Tags};

/// A security group.
#[derive(Debug, Clone)]
pub(crate) struct SecurityGroup {
    pub(crate) id: String,
    pub(crate) name: String,
    description: String,
    vpc: String,
    owner: String,
    ingress: Vec<Rule>,
    egress: Vec<Rule>,
    pub(crate) tags: Tags,
}

/// What may pass.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Rule {
    ip_protocol: String,
    from_port: Option<i64>,
    to_port: Option<i64>,
    #[serde(default)]
    ip_ranges: Vec<Range>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Range {
    cidr_ip: String,
    description: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct CreateGroup {
    group_name: String,
    group_description: String,
    vpc_id: Option<String>,
    #[serde(default, rename = "TagSpecification")]
    tag_specifications: Vec<TagSpecification>,
}

/// A group by its id or name.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct GroupInput {
    group_id: Option<String>,
    group_name: Option<String>,
}

/// Rules to add or to take away; one rule can also be written out.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct RulesInput {
    group_id: Option<String>,
    group_name: Option<String>,
    #[serde(default, rename = "IpPermissions")]
    rules: Vec<Rule>,
    ip_protocol: Option<String>,
    from_port: Option<i64>,
    to_port: Option<i64>,
    cidr_ip: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DescribeGroups {
    #[serde(default, rename = "GroupId")]
    ids: Vec<String>,
    #[serde(default, rename = "GroupName")]
    names: Vec<String>,
    #[serde(default, rename = "Filter")]
    filters: Vec<Filter>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

/// Which way a rule is for.
type Side = fn(&mut SecurityGroup) -> &mut Vec<Rule>;

impl Filtered for SecurityGroup {
    const FIELDS: &'static [(&'static str, Values<Self>)] = &[
        ("description", |group| one(&group.description)),
        ("group-id", |group| one(&group.id)),
        ("group-name", |group| one(&group.name)),
        ("owner-id", |group| one(&group.owner)),
        ("vpc-id", |group| one(&group.vpc)),
    ];

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

impl World {
    /// The groups of the caller by id, the default one among them from the start.
    pub(crate) fn security_groups(&mut self, cx: &Context) -> Result<&mut BTreeMap<String, SecurityGroup>, ApiError> {
        let network = Network::of(&cx.account, &cx.region);
        let groups = &mut self.region_mut(cx)?.holdings(&cx.account).security_groups;
        groups.entry(network.group()).or_insert_with(|| SecurityGroup {
            id: network.group(),
            name: "default".to_owned(),
            description: "default VPC security group".to_owned(),
            vpc: network.vpc(),
            owner: cx.account.clone(),
            ingress: Vec::new(),
            egress: vec![Rule::anything()],
            tags: Tags::new(),
        });
        Ok(groups)
    }

    pub(crate) fn create_security_group(&mut self, cx: &Context, input: CreateGroup) -> Result<Xml, ApiError> {
        let tags = tags::specified(&input.tag_specifications, &[&SECURITY_GROUP], &SECURITY_GROUP)?;
        if input.group_name.starts_with("sg-") {
            return Err(ApiError::invalid(format!(
                "Value ({}) for parameter GroupName is invalid. Group names may not be in the format sg-*.",
                input.group_name
            )));
        }
        let vpc = Network::of(&cx.account, &cx.region).check_vpc(input.vpc_id)?;
        let id = self.ids.resource(&SECURITY_GROUP);
        let groups = self.security_groups(cx)?;
        if groups.values().any(|group| group.name == input.group_name) {
            return Err(ApiError::new(
                "InvalidGroup.Duplicate",
                format!("The security group '{}' already exists for VPC '{vpc}'", input.group_name),
            ));
        }
        let mut x = Xml::done();
        x.text("groupId", &id);
        tags::write(&mut x, &tags);
        let group = SecurityGroup {
            id: id.clone(),
            name: input.group_name,
            description: input.group_description,
            vpc,
            owner: cx.account.clone(),
            ingress: Vec::new(),
            egress: vec![Rule::anything()],
            tags,
        };
        groups.insert(id, group);
        Ok(x)
    }

    pub(crate) fn delete_security_group(&mut self, cx: &Context, input: GroupInput) -> Result<Xml, ApiError> {
        let id = self.named_group(cx, input.group_id, input.group_name)?.id.clone();
        if self.region(cx)?.instances.values().any(|instance| instance.is_in_group(&id)) {
            return Err(ApiError::new("DependencyViolation", format!("resource {id} has a dependent object")));
        }
        if id == Network::of(&cx.account, &cx.region).group() {
            let message = "the specified group: default name: default cannot be deleted by a user";
            return Err(ApiError::new("CannotDelete", message));
        }
        self.security_groups(cx)?.remove(&id);
        Ok(Xml::done().with("groupId", id))
    }

    pub(crate) fn describe_security_groups(&mut self, cx: &Context, input: DescribeGroups) -> Result<Xml, ApiError> {
        let paging = Paging::listing("groupIdSet", &input.ids, input.max_results, input.next_token.as_deref())?;
        let matcher = Matcher::new(&input.filters)?;
        for id in &input.ids {
            self.named_group(cx, Some(id.clone()), None)?;
        }
        for name in &input.names {
            self.named_group(cx, None, Some(name.clone()))?;
        }
        let groups = self.security_groups(cx)?;
        let all = input.ids.is_empty() && input.names.is_empty();
        let (page, token) = paging.page(groups, |group| {
            (all || input.ids.contains(&group.id) || input.names.contains(&group.name))
                && matcher.passes(group, &cx.account)
        });
        let mut x = Xml::new();
        x.list("securityGroupInfo", page, |x, group| group.write(x));
        x.maybe("nextToken", token);
        Ok(x)
    }

    pub(crate) fn authorize_ingress(&mut self, cx: &Context, input: RulesInput) -> Result<Xml, ApiError> {
        self.authorize(cx, input, |group| &mut group.ingress)
    }

    pub(crate) fn authorize_egress(&mut self, cx: &Context, input: RulesInput) -> Result<Xml, ApiError> {
        self.authorize(cx, input, |group| &mut group.egress)
    }

    pub(crate) fn revoke_ingress(&mut self, cx: &Context, input: RulesInput) -> Result<Xml, ApiError> {
        self.revoke(cx, input, |group| &mut group.ingress)
    }

    pub(crate) fn revoke_egress(&mut self, cx: &Context, input: RulesInput) -> Result<Xml, ApiError> {
        self.revoke(cx, input, |group| &mut group.egress)
    }

    fn authorize(&mut self, cx: &Context, input: RulesInput, side: Side) -> Result<Xml, ApiError> {
        let rules = input.rules()?;
        let own = side(self.named_group(cx, input.group_id, input.group_name)?);
        if rules.iter().any(|rule| own.contains(rule)) {
            return Err(ApiError::new("InvalidPermission.Duplicate", "the specified rule already exists"));
        }
        own.extend(rules);
        Ok(Xml::done())
    }

    fn revoke(&mut self, cx: &Context, input: RulesInput, side: Side) -> Result<Xml, ApiError> {
        let rules = input.rules()?;
        let own = side(self.named_group(cx, input.group_id, input.group_name)?);
        if rules.iter().any(|rule| !own.contains(rule)) {
            let message = "The specified rule does not exist in this security group.";
            return Err(ApiError::new("InvalidPermission.NotFound", message));
        }
        own.retain(|rule| !rules.contains(rule));
        Ok(Xml::done())
    }

    /// The ids and names of the groups that a launch names, or of the default one.
    pub(crate) fn launch_groups(
        &mut self,
        cx: &Context,
        ids: &[String],
        names: &[String],
    ) -> Result<Vec<(String, String)>, ApiError> {
        let default = Network::of(&cx.account, &cx.region).group();
        let none = ids.is_empty() && names.is_empty();
        let ids = ids.iter().cloned().chain(none.then_some(default)).map(|id| (Some(id), None));
        let names = names.iter().cloned().map(|name| (None, Some(name)));
        ids.chain(names)
            .map(|(id, name)| self.named_group(cx, id, name).map(|group| (group.id.clone(), group.name.clone())))
            .collect()
    }

    fn named_group(
        &mut self,
        cx: &Context,
        id: Option<String>,
        name: Option<String>,
    ) -> Result<&mut SecurityGroup, ApiError> {
        if let Some(id) = &id {
            SECURITY_GROUP.check(id)?;
        }
        let named = id.clone().or_else(|| name.clone()).ok_or_else(|| ApiError::missing("groupName or groupId"))?;
        let means =
            |group: &&mut SecurityGroup| id.as_ref().map_or(name.as_ref() == Some(&group.name), |id| *id == group.id);
        let group = self.security_groups(cx)?.values_mut().find(means);
        group.ok_or_else(|| SECURITY_GROUP.not_found(&named))
    }
}

impl SecurityGroup {
    fn write(&self, x: &mut Xml) {
        x.text("groupId", &self.id)
            .text("groupName", &self.name)
            .text("groupDescription", &self.description)
            .text("vpcId", &self.vpc)
            .text("ownerId", &self.owner)
            .list("ipPermissions", &self.ingress, |x, rule| rule.write(x))
            .list("ipPermissionsEgress", &self.egress, |x, rule| rule.write(x));
        tags::write(x, &self.tags);
    }
}

impl Rule {
    /// What every group lets out.
    fn anything() -> Self {
        let everywhere = Range { cidr_ip: "0.0.0.0/0".to_owned(), description: None };
        Self { ip_protocol: "-1".to_owned(), from_port: None, to_port: None, ip_ranges: vec![everywhere] }
    }

    fn write(&self, x: &mut Xml) {
        x.text("ipProtocol", &self.ip_protocol).maybe("fromPort", self.from_port).maybe("toPort", self.to_port).list(
            "ipRanges",
            &self.ip_ranges,
            |x, range| {
                x.text("cidrIp", &range.cidr_ip).maybe("description", range.description.as_ref());
            },
        );
    }
}

impl RulesInput {
    fn rules(&self) -> Result<Vec<Rule>, ApiError> {
        let mut rules = self.rules.clone();
        if let Some(ip_protocol) = self.ip_protocol.clone() {
            let range = self.cidr_ip.clone().map(|cidr_ip| Range { cidr_ip, description: None });
            let ip_ranges = range.into_iter().collect();
            rules.push(Rule { ip_protocol, from_port: self.from_port, to_port: self.to_port, ip_ranges });
        }
        if rules.is_empty() {
            return Err(ApiError::missing("ipPermissions"));
        }
        Ok(rules)
    }
}
