//! Wildcards as EC2's filters have them.

/// A pattern that is read once: `*` is any run of characters, `?` is any one, and `\` takes the next character as it is.
#[derive(Debug)]
pub(crate) enum Pattern {
    /// A pattern without wildcards.
    Literal(String),
    Wild(Vec<Token>),
}

impl Pattern {
    pub(crate) fn new(pattern: &str) -> Self {
        if pattern.contains(['*', '?', '\\']) { Self::Wild(parse(pattern)) } else { Self::Literal(pattern.to_owned()) }
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Literal(literal) => literal == text,
            Self::Wild(tokens) => fits(tokens, text),
        }
    }
}

/// Whether `text` matches `pattern`.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    Pattern::new(pattern).matches(text)
}

fn fits(pattern: &[Token], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where the last `*` was, and how much of the text it has taken so far.
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(Token::Any) => {
                star = Some((p, t));
                p += 1;
            }
            Some(Token::One) => {
                p += 1;
                t += 1;
            }
            Some(Token::Char(c)) if Some(c) == text.get(t) => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, taken)) = star else {
                    return false;
                };
                star = Some((at, taken + 1));
                p = at + 1;
                t = taken + 1;
            }
        }
    }
    pattern[p..].iter().all(|token| *token == Token::Any)
}

#[derive(Debug, PartialEq)]
pub(crate) enum Token {
    Any,
    One,
    Char(char),
}

fn parse(pattern: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' => Token::Any,
            '?' => Token::One,
            '\\' => Token::Char(chars.next().unwrap_or('\\')),
            c => Token::Char(c),
        });
    }
    tokens
}
