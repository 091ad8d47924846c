//! Reads the query protocol: a form whose dotted names make a tree, read into the types that the operations declare.
//!
//! `TagSpecification.1.Tag.2.Key=team` is the key of the second tag of the first specification. Reading is strict:
//! a name that the operation does not declare is an error.

use std::collections::BTreeMap;

use serde::de::{self, DeserializeOwned, IntoDeserializer, Visitor};

use crate::error::ApiError;

/// The tree of parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Leaf(String),
    Branch(BTreeMap<String, Node>),
}

/// Decodes `a=b&c=d`.
pub(crate) fn decode_form(body: &str) -> BTreeMap<String, String> {
    body.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decode(name), percent_decode(value))
        })
        .collect()
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = bytes.get(at + 1..at + 3).and_then(|h| std::str::from_utf8(h).ok());
        match (byte, hex.and_then(|h| u8::from_str_radix(h, 16).ok())) {
            (b'%', Some(decoded)) => {
                out.push(decoded);
                at += 3;
                continue;
            }
            (b'+', _) => out.push(b' '),
            _ => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Reads the parameters of an operation into the type that declares them.
pub(crate) fn read<T: DeserializeOwned>(params: &BTreeMap<String, String>) -> Result<T, ApiError> {
    T::deserialize(tree(params)?).map_err(|error| error.0)
}

fn tree(params: &BTreeMap<String, String>) -> Result<Node, ApiError> {
    let mut root = BTreeMap::new();
    for (name, value) in params {
        let mut branch = &mut root;
        let mut parts = name.split('.').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                branch.insert(part.to_owned(), Node::Leaf(value.clone()));
                break;
            }
            match branch.entry(part.to_owned()).or_insert_with(|| Node::Branch(BTreeMap::new())) {
                Node::Branch(inner) => branch = inner,
                Node::Leaf(_) => return Err(ParamError::unknown(name).0),
            }
        }
    }
    Ok(Node::Branch(root))
}

/// Why the parameters do not fit the operation.
#[derive(Debug)]
pub(crate) struct ParamError(ApiError);

impl ParamError {
    fn unknown(name: &str) -> Self {
        Self(ApiError::new("UnknownParameter", format!("The parameter {name} is not recognized")))
    }
}

impl std::fmt::Display for ParamError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for ParamError {}

impl de::Error for ParamError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(ApiError::invalid(message.to_string()))
    }

    fn missing_field(field: &'static str) -> Self {
        Self(ApiError::missing(field))
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self::unknown(field)
    }
}

impl Node {
    fn text(self) -> Result<String, ParamError> {
        match self {
            Node::Leaf(text) => Ok(text),
            Node::Branch(inner) => Err(ParamError::unknown(inner.keys().next().map_or("", |k| k))),
        }
    }

    fn parse<T: std::str::FromStr>(self, kind: &str) -> Result<T, ParamError> {
        let text = self.text()?;
        text.parse().map_err(|_| ParamError(ApiError::invalid(format!("Invalid value '{text}': it must be {kind}"))))
    }

    /// The members of a list, in the order of their numbers. STS numbers them below `member`.
    fn members(self) -> Result<Vec<Node>, ParamError> {
        let mut inner = match self {
            Node::Leaf(text) if text.is_empty() => return Ok(Vec::new()),
            Node::Leaf(text) => {
                return Err(ParamError(ApiError::invalid(format!("Invalid value '{text}': it must be a list"))));
            }
            Node::Branch(inner) => inner,
        };
        if let Some(member) = inner.remove("member") {
            return member.members();
        }
        let mut numbered = Vec::with_capacity(inner.len());
        for (index, node) in inner {
            let index: u32 = index.parse().map_err(|_| ParamError::unknown(&index))?;
            numbered.push((index, node));
        }
        numbered.sort_by_key(|(index, _)| *index);
        Ok(numbered.into_iter().map(|(_, node)| node).collect())
    }
}

impl<'de> IntoDeserializer<'de, ParamError> for Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> de::Deserializer<'de> for Node {
    type Error = ParamError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamError> {
        match self {
            Node::Leaf(text) => visitor.visit_string(text),
            Node::Branch(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamError> {
        visitor.visit_bool(self.parse("true or false")?)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamError> {
        visitor.visit_u32(self.parse("a number")?)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamError> {
        visitor.visit_u64(self.parse("a number")?)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamError> {
        visitor.visit_i64(self.parse("a number")?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamError> {
        visitor.visit_string(self.text()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamError> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamError> {
        visitor.visit_seq(de::value::SeqDeserializer::new(self.members()?.into_iter()))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamError> {
        match self {
            Node::Branch(inner) => visitor.visit_map(de::value::MapDeserializer::new(inner.into_iter())),
            Node::Leaf(text) => {
                Err(ParamError(ApiError::invalid(format!("Invalid value '{text}': it must be a structure"))))
            }
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ParamError> {
        self.deserialize_map(visitor)
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u128 f32 f64 char str bytes byte_buf unit unit_struct newtype_struct tuple
        tuple_struct enum identifier ignored_any
    }
}
