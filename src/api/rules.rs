//! The rules that the API server checks (CEL). Each message says what to write instead, because it is
//! the sentence that a person reads after `kubectl apply`.

use kube::core::Rule;

fn rule(expression: &str, message: &str) -> Rule {
    Rule::new(expression).message(message)
}

/// Rules over the whole object, where `metadata.name` can be seen.
pub(super) fn object() -> [Rule; 2] {
    [
        rule(
            "size(self.metadata.name) <= 63",
            "metadata.name may have 63 characters at most: it is part of the ownership tag of every image",
        ),
        rule(
            // The list of one holds the length outside the loop over versions, which keeps the rule cheap.
            "[size(self.spec.nameTemplate.replace('{name}', self.metadata.name).replace('{version}', '')\
             .replace('{namespace}', ''))].all(rest, self.spec.versions.all(v, rest + size(v.version) <= 128))",
            "the image name that spec.nameTemplate makes for a version is longer than the 128 characters \
             that EC2 allows: shorten the template, the version or metadata.name",
        ),
    ]
}

/// Rules that relate the parts of the spec to each other.
pub(super) fn spec() -> [Rule; 6] {
    [
        rule(
            "size(self.versions) > 0",
            "list at least one version; to have every image removed, set deletionPolicy: Delete and delete the object",
        ),
        rule("size(self.regions) > 0", "list at least one region"),
        rule(
            "!has(self.channels) || self.channels.all(c, self.versions.exists(v, v.version == c.version))",
            "a channel points to a version that spec.versions does not list: add that version, or point the channel to a listed one",
        ),
        rule(
            "!has(self.channels) || self.channels.all(c, !has(c.publish) || self.channels.filter(d, \
             has(d.publish) && d.publish.ssmParameter == c.publish.ssmParameter).size() == 1)",
            "two channels publish to the same ssmParameter: give each channel a parameter of its own",
        ),
        rule(
            "self.versions.all(v, !v.source.image.adopt || self.regions.exists(r, r.region == v.source.image.region))",
            "adopt: true makes the source the replica of its own region, so spec.regions must list that region",
        ),
        rule(
            "self.versions.all(v, !v.source.image.adopt || self.versions.filter(w, \
             w.source.image.id == v.source.image.id).size() == 1)",
            "an image with adopt: true can be the source of one version only",
        ),
    ]
}

/// A version: part of image names, tags and status.
pub(super) fn version() -> [Rule; 1] {
    [rule(
        "self.matches('^[A-Za-z0-9][A-Za-z0-9._-]*$')",
        "a version is made of letters, digits, '.', '_' and '-', and begins with a letter or digit, like 1.4.2",
    )]
}

/// An AMI id.
pub(super) fn image_id() -> [Rule; 1] {
    [rule(
        "self.matches('^ami-([0-9a-f]{8}|[0-9a-f]{17})$')",
        "an image id is 'ami-' and 8 or 17 hexadecimal digits, like ami-0aa11bb22cc33dd44",
    )]
}

/// The name of an AWS region.
pub(super) fn region() -> [Rule; 1] {
    [rule(
        "self.matches('^[a-z]{2,4}(-[a-z]+)+-[0-9]+$')",
        "a region is a name like eu-west-1 (not an availability zone such as eu-west-1a)",
    )]
}

/// Rules over one entry of `spec.regions`.
pub(super) fn region_settings() -> [Rule; 2] {
    [
        rule(
            "!has(self.kmsKeyId) || self.kmsKeyId.matches('^(alias/[A-Za-z0-9/_-]+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\
             |mrk-[0-9a-f]{32}|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/[A-Za-z0-9/_-]+)$')",
            "kmsKeyId is a key id, a key ARN, an alias ARN, or 'alias/' and a name",
        ),
        rule(
            "!has(self.kmsKeyId) || !self.kmsKeyId.startsWith('arn:') || self.kmsKeyId.split(':')[3] == self.region",
            "kmsKeyId names a key of another region: EC2 encrypts with a key of the region that the copy is made in",
        ),
    ]
}

/// The template of image names.
pub(super) fn name_template() -> [Rule; 3] {
    [
        rule(
            "self.contains('{version}')",
            "nameTemplate must contain {version}: image names are unique in a region, so each version needs its own",
        ),
        rule(
            "!self.replace('{name}', '').replace('{namespace}', '').replace('{version}', '').matches('[{}]')",
            "nameTemplate knows the placeholders {name}, {namespace} and {version} only",
        ),
        rule(
            "self.replace('{name}', 'a').replace('{namespace}', 'a').replace('{version}', 'a').matches('^[A-Za-z0-9()./_-]+$')",
            "nameTemplate may use letters, digits and the characters ( ) . / _ - beside its placeholders",
        ),
    ]
}

/// The user's tags.
pub(super) fn tags() -> [Rule; 3] {
    [
        rule("self.all(k, size(k) >= 1 && size(k) <= 127)", "a tag key has 1 to 127 characters"),
        rule(
            "self.all(k, !k.lowerAscii().startsWith('aws:'))",
            "tag keys that begin with 'aws:' are reserved by AWS: choose another key",
        ),
        rule(
            "self.all(k, !k.startsWith('amiops.dev/'))",
            "tag keys that begin with 'amiops.dev/' are amiops's own: choose another key",
        ),
    ]
}

/// The name of a channel.
pub(super) fn channel_name() -> [Rule; 1] {
    [rule(
        "self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$')",
        "a channel name is made of lower case letters, digits and '-', like prod",
    )]
}

/// The name of an SSM parameter.
pub(super) fn parameter() -> [Rule; 3] {
    [
        rule(
            "self.matches('^(/[A-Za-z0-9_.-]+)+$')",
            "ssmParameter is a full path like /golden/web/prod, of letters, digits, '_', '.', '-' and '/'",
        ),
        rule(
            "!self.lowerAscii().matches('^/(aws|ssm)')",
            "ssmParameter may not begin with /aws or /ssm: AWS reserves those paths",
        ),
        rule("self.split('/').size() <= 16", "ssmParameter may have 15 levels at most"),
    ]
}

/// How often an object is looked at.
pub(super) fn interval() -> [Rule; 1] {
    [rule(
        "self.matches('^([0-9]+(h|m|s))+$') && duration(self) >= duration('1m') && duration(self) <= duration('24h')",
        "interval is a duration between 1m and 24h, like 10m or 1h30m",
    )]
}
