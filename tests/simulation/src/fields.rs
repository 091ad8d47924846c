//! Every field of the spec, set to each kind of legal value and moved to each other, without any faults: the way in which Acto
//! (SOSP 2023) finds the operations that a controller does not get through.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::manifest::{Manifest, OBJECTS, Origin, REGIONS, Version};
use crate::story::{Act, Moment, Nature, Story};

/// The first value has this long to take effect.
const BETWEEN: Duration = Duration::from_mins(50);

/// A kind of value: what it is, and how a manifest comes to have it.
type Kind = (&'static str, fn(&mut Manifest));

/// A field of the spec and the kinds of values that it may have.
struct Field {
    name: &'static str,
    kinds: &'static [Kind],
}

const FIELDS: &[Field] = &[
    Field {
        name: "versions",
        kinds: &[
            ("one", |m| m.versions = vec![baked(0)]),
            ("two", |m| m.versions = vec![baked(0), baked(1)]),
            ("the same two in another order", |m| m.versions = vec![baked(1), baked(0)]),
            ("another beside the first", |m| m.versions = vec![baked(0), baked(2)]),
            ("four", |m| m.versions = (0..4).map(baked).collect()),
            ("one whose source does not exist", |m| {
                m.versions = vec![baked(0), Version { origin: Origin::Nowhere, ..baked(1) }]
            }),
        ],
    },
    Field {
        name: "versions[].source.image.adopt",
        kinds: &[("false", |m| m.versions[1].adopt = false), ("true", |m| m.versions[1].adopt = true)],
    },
    Field {
        name: "versions[].releasedAt",
        kinds: &[
            ("left out", |_| {}),
            ("long ago", |m| m.set("/versions/0/releasedAt", json!("2020-02-29T23:59:59Z"))),
            ("with an offset and a fraction", |m| {
                m.set("/versions/0/releasedAt", json!("2026-11-20T09:00:00.123+05:30"))
            }),
            ("in the future", |m| m.set("/versions/0/releasedAt", json!("2031-01-01T00:00:00Z"))),
        ],
    },
    Field {
        name: "versions[].notes",
        kinds: &[
            ("left out", |_| {}),
            ("empty", |m| m.set("/versions/0/notes", json!(""))),
            ("as long as may be", |m| m.set("/versions/0/notes", json!("ü".repeat(4096)))),
        ],
    },
    Field {
        name: "regions",
        kinds: &[
            ("the source's own", |m| m.regions = [(REGIONS[0], false)].into()),
            ("another", |m| m.regions = [(REGIONS[1], false)].into()),
            ("two", |m| m.regions = [(REGIONS[0], false), (REGIONS[1], false)].into()),
            ("all", |m| m.regions = REGIONS.map(|region| (region, false)).into()),
        ],
    },
    Field {
        name: "regions[].kmsKeyId",
        kinds: &[
            ("left out", |_| {}),
            ("an alias", |m| m.regions = REGIONS.map(|region| (region, true)).into()),
            ("an alias that does not exist", |m| m.set("/regions/0/kmsKeyId", json!("alias/nowhere"))),
            ("a key that does not exist", |m| {
                m.set("/regions/0/kmsKeyId", json!("00000000-0000-4000-8000-000000000000"))
            }),
        ],
    },
    Field {
        name: "nameTemplate",
        kinds: &[
            ("left out", |_| {}),
            ("another order", |m| m.set("/nameTemplate", json!("{version}_{name}"))),
            ("all parts", |m| m.set("/nameTemplate", json!("golden/{namespace}/{name}/{version}"))),
        ],
    },
    Field {
        name: "tags",
        kinds: &[
            ("none", |m| m.tags.clear()),
            ("one", |m| m.tags = [("team".to_owned(), "web".to_owned())].into()),
            ("another value", |m| m.tags = [("team".to_owned(), "db".to_owned())].into()),
            ("an empty value", |m| m.tags = [("team".to_owned(), String::new())].into()),
            ("as many as may be", |m| m.tags = (0..40).map(|n| (format!("key-{n}"), "x".repeat(200))).collect()),
        ],
    },
    Field {
        name: "channels",
        kinds: &[
            ("none", |m| m.channels.clear()),
            ("one", |m| m.channels = [("prod", 0)].into()),
            ("one to another version", |m| m.channels = [("prod", 1)].into()),
            ("one of another name", |m| m.channels = [("staging", 0)].into()),
            ("two", |m| m.channels = [("prod", 0), ("staging", 1)].into()),
            ("two to one version", |m| m.channels = [("prod", 1), ("staging", 1)].into()),
        ],
    },
    Field {
        name: "channels[].publish",
        kinds: &[
            ("left out", |m| m.drop_field("/channels/0/publish")),
            ("a parameter", |_| {}),
            ("another parameter", |m| {
                m.set("/channels/0/publish", json!({"ssmParameter": "/golden/web/prod/deeper.still-1"}))
            }),
        ],
    },
    Field {
        name: "retention",
        kinds: &[
            ("left out", |m| m.keep_last = None),
            ("none", |m| m.keep_last = Some(0)),
            ("one", |m| m.keep_last = Some(1)),
            ("as many as may be", |m| m.keep_last = Some(1000)),
        ],
    },
    Field { name: "deletionPolicy", kinds: &[("Retain", |m| m.delete = false), ("Delete", |m| m.delete = true)] },
    Field { name: "suspend", kinds: &[("false", |m| m.suspend = false), ("true", |m| m.suspend = true)] },
    Field {
        name: "interval",
        kinds: &[
            ("left out", |_| {}),
            ("the shortest", |m| m.set("/interval", json!("1m"))),
            ("the longest", |m| m.set("/interval", json!("24h"))),
            ("in parts", |m| m.set("/interval", json!("1h30m15s"))),
        ],
    },
];

/// One story for each field and each two kinds of its values, with the sentence that says what it is.
pub(crate) fn stories() -> Vec<(String, Story)> {
    let mut stories = Vec::new();
    for field in FIELDS {
        for (from, first) in field.kinds {
            for (to, second) in field.kinds.iter().filter(|(to, _)| to != from) {
                let seed = stories.len() as u64;
                stories.push((format!("{} from {from} to {to}", field.name), story(seed, *first, *second)));
            }
        }
    }
    stories
}

fn story(seed: u64, first: fn(&mut Manifest), second: fn(&mut Manifest)) -> Story {
    let manifest = |change: fn(&mut Manifest)| {
        let mut manifest = usual();
        change(&mut manifest);
        Act::Apply(manifest)
    };
    let moments = [first, second].map(manifest).into_iter().zip(1..);
    let moments = moments.map(|(act, n)| Moment { at: BETWEEN * n, act }).collect();
    Story { seed, nature: Nature::quick(), length: BETWEEN * 3, moments }
}

/// The manifest that each field is changed in.
fn usual() -> Manifest {
    Manifest {
        object: OBJECTS[0],
        versions: vec![baked(0), baked(1)],
        regions: [(REGIONS[0], false), (REGIONS[1], false)].into(),
        tags: [("team".to_owned(), "web".to_owned())].into(),
        channels: [("prod", 0)].into(),
        silent: None,
        keep_last: Some(0),
        delete: false,
        suspend: false,
        guarded: false,
        released: BTreeMap::new(),
        fields: Vec::new(),
    }
}

fn baked(number: usize) -> Version {
    Version { number, adopt: false, origin: Origin::Baked }
}
