//! What is read from tags, from the command line and from files.

use amiops::api::MachineImage;
use amiops::cli::{Cli, manifests};
use amiops::plan::ids::{ImageRef, Owner};
use amiops::plan::tags::{self, Ownership, Tags, missing, owned_by};
use amiops::plan::{Desired, Invalid};
use clap::CommandFactory;
use serde_json::json;

use crate::draw::Draw;
use crate::facts::INSTALLATION;
use crate::manifest::admit;
use crate::notes::note;
use crate::schema::Maker;
use crate::{text, world};

/// Tags: what is read is what was written, and what is not legible is not ours.
pub(crate) fn tags(bytes: &[u8]) {
    let draw = &mut Draw::new(bytes);
    let present = drawn_tags(draw);
    if let Some(owner) = present.get(tags::OWNER) {
        let parsed = Owner::parse(owner);
        assert_eq!(parsed.is_some(), owner.split('/').count() == 3, "an owner has three parts: {owner}");
        assert!(parsed.is_none_or(|parsed| parsed.to_string() == *owner), "{owner} is read as another owner");
    }
    if let Some(source) = present.get(tags::SOURCE) {
        let parsed = ImageRef::parse(source);
        assert_eq!(parsed.is_some(), source.contains('/'), "a source has two parts: {source}");
        assert!(parsed.is_none_or(|parsed| parsed.to_string() == *source), "{source} is read as another source");
    }
    let Some(ownership) = Ownership::read(&present) else { return };
    note("owned");
    assert!(owned_by(&present, &ownership.owner));
    let written = ownership.write();
    let again = Ownership::read(&written).expect("what was written can be read");
    assert_eq!(again.write(), written, "tags change when they are written again");
    let seconds = |ownership: &Ownership| ownership.released_at.map(|at| at.as_second());
    assert_eq!(seconds(&again), seconds(&ownership), "a date changes when it is written");
    assert_eq!(Ownership { released_at: ownership.released_at, ..again }, ownership);
    let mut tagged = present.clone();
    tagged.extend(missing(&written, &present));
    assert!(missing(&written, &tagged).is_empty(), "tags are missing after they were put");
}

fn drawn_tags(draw: &mut Draw) -> Tags {
    let owner = match draw.below(4) {
        0 => "default/images/web".to_owned(),
        1 => text::spoil("default/images/web", draw),
        2 => draw.line(),
        _ => format!("{}/{}/{}", text::odd(draw), text::odd(draw), text::odd(draw)),
    };
    let source = match draw.below(3) {
        0 => "us-east-1/ami-0aa11bb22cc33dd44".to_owned(),
        1 => text::spoil("us-east-1/ami-0aa11bb22cc33dd44", draw),
        _ => draw.line(),
    };
    let date = match draw.below(3) {
        0 => world::at(draw).to_string(),
        1 => text::spoil("2026-11-20T09:00:00Z", draw),
        _ => draw.line(),
    };
    let attempt = if draw.one_in(2) { draw.line() } else { draw.number().to_string() };
    let all = [
        (tags::OWNER, owner),
        (tags::VERSION, draw.line()),
        (tags::SOURCE, source),
        (tags::RELEASED_AT, date),
        (tags::ATTEMPT, attempt),
        (tags::ADOPTED, draw.pick(&["true", "true", "false", ""]).to_owned()),
        ("team", draw.line()),
    ];
    all.into_iter().filter(|_| !draw.one_in(8)).map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Intervals: the program takes what the rule of the schema takes, and nothing else.
pub(crate) fn interval(bytes: &[u8]) {
    let draw = &mut Draw::new(bytes);
    let interval = match draw.below(8) {
        0 => draw.line(),
        1 => {
            let made = text::matching("^([0-9]+(h|m|s))+$", false, draw);
            text::spoil(&made, draw)
        }
        _ => text::matching("^([0-9]+(h|m|s))+$", false, draw),
    };
    let mut manifest = json!({
        "apiVersion": "amiops.dev/v1alpha1",
        "kind": "MachineImage",
        "metadata": {"name": "web"},
        "spec": {
            "versions": [{"version": "1.0", "source": {"image": {"region": "us-east-1", "id": "ami-0aa11bb22cc33dd44"}}}],
            "regions": [{"region": "us-east-1"}],
            "interval": interval,
        },
    });
    let admitted = admit(&manifest);
    manifest["metadata"]["namespace"] = json!("images");
    let object: MachineImage = serde_json::from_value(manifest).expect("the interval is text");
    let parsed = Desired::parse(&object, INSTALLATION);
    if let Err(invalid) = &parsed {
        assert_eq!(*invalid, Invalid::Interval(interval.clone()));
    }
    // The schema allows 20 characters.
    if interval.chars().count() <= 20 {
        assert_eq!(parsed.is_ok(), admitted.is_ok(), "the program and the schema's rule disagree about '{interval}'");
    }
    note(if parsed.is_ok() { "taken" } else { "refused" });
}

/// The command line: a flag is taken or refused with a sentence, and what is taken can be worked with.
pub(crate) fn flags(bytes: &[u8]) {
    let draw = &mut Draw::new(bytes);
    let command = Cli::command();
    let controller = command.find_subcommand("controller").expect("there is a controller");
    let flags: Vec<_> = controller.get_arguments().filter_map(|flag| flag.get_long()).map(str::to_owned).collect();
    let timed: Vec<_> =
        flags.iter().filter(|flag| flag.ends_with("interval") || flag.ends_with("duration")).cloned().collect();
    let flag = if draw.one_in(2) { draw.pick(&flags) } else { draw.pick(&timed) };
    let value = match draw.below(8) {
        0 => draw.line(),
        1 => text::odd(draw),
        2 => text::matching("^[a-zA-Z0-9._-]*$", true, draw),
        3 => text::matching("^-?[0-9]+[.]?[0-9]*(ns|us|µs|ms|s|m|h)([0-9]+(ns|us|ms|s|m|h))*$", true, draw),
        _ => text::matching("^[0-9]+(ms|s|m|h)$", true, draw),
    };
    match command.try_get_matches_from(["amiops", "controller", &format!("--{flag}={value}")]) {
        Err(error) => assert!(!error.to_string().trim().is_empty(), "a refusal without a word"),
        Ok(matches) => {
            let matches = matches.subcommand_matches("controller").expect("the controller was asked for");
            taken(&flag, matches);
            note(&flag);
        }
    }
}

fn taken(flag: &str, matches: &clap::ArgMatches) {
    let id = flag.replace('-', "_");
    if let Ok(Some(duration)) = matches.try_get_one::<std::time::Duration>(&id) {
        assert!(!duration.is_zero(), "nothing is no duration");
        // What is waited for is added to the date.
        assert!(world::now().checked_add(*duration).is_ok(), "{duration:?} is beyond the end of time");
    }
    if id == "owner_id" {
        let installation = matches.get_one::<String>(&id).expect("an owner id is text");
        let owner = Owner { installation: installation.clone(), namespace: "images".into(), name: "web".into() };
        assert_eq!(Owner::parse(&owner.to_string()), Some(owner), "'{installation}' spoils the ownership tag");
    }
}

/// Files of manifests: whatever they are, they are read or refused with a sentence; what the API server takes is read.
pub(crate) fn files(bytes: &[u8]) {
    let draw = &mut Draw::new(bytes);
    let manifest = json!({
        "apiVersion": "amiops.dev/v1alpha1",
        "kind": "MachineImage",
        "metadata": {"name": "web"},
        "spec": Maker::new(draw).field("spec", draw),
    });
    let good = admit(&manifest).is_ok() && manifest.to_string().chars().all(is_of_yaml);
    let pieces = [
        "---\n",
        "",
        "# a comment\n",
        "kind: Secret\n",
        "a: &a [1]\nb: *a\n",
        "null\n",
        "- 1\n",
        "...\n",
        "%YAML 1.2\n",
        "\t",
        "{",
        "!!binary x\n",
        "'",
        "? a\n",
        "a: |\n  b\n",
        "<<: *b\n",
        "a: 1\na: 2\n",
        "\u{feff}",
    ];
    let mut texts = vec![manifest.to_string()];
    let mut spoiled = false;
    for _ in 0..draw.below(4) {
        let piece = if draw.one_in(4) { draw.line() } else { draw.pick(&pieces).to_owned() };
        spoiled |= !["---\n", "", "# a comment\n", "kind: Secret\n"].contains(&piece.as_str());
        texts.insert(draw.below(texts.len() + 1), piece);
    }
    let mut text = texts.join("\n---\n");
    if draw.one_in(4) {
        text = text::spoil(&text, draw);
        spoiled = true;
    }
    match manifests::of_text("web.yaml", &text) {
        Ok(objects) => {
            note("read");
            objects.iter().for_each(|object| _ = Desired::parse(object, INSTALLATION));
            assert!(!good || spoiled || objects.len() == 1, "a manifest was passed over: {text}");
        }
        Err(error) => {
            note("refused");
            assert!(error.to_string().starts_with("web.yaml"), "an error names its file: {error}");
            assert!(!good || spoiled || is_known(&error), "the API server takes what is refused here: {error}: {text}");
        }
    }
}

/// Whether YAML has a character: some that JSON has are not in it.
fn is_of_yaml(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
}

/// The API server does not look at times closely, and makes 2 of 2.0.
fn is_known(error: &manifests::Error) -> bool {
    let sentence = error.to_string();
    sentence.contains("releasedAt") || sentence.contains("invalid type: floating point")
}
