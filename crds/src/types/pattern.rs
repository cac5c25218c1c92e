//! Patterns in which a `KafkaConnection` says what a namespace may use.
//!
//! Owns their limits and their one meaning, so that the operator and the CLI cannot read them differently. Must never
//! look anything up: namespace and app are arguments.
//!
//! `{namespace}` and `{app}` stand for exactly that text; `*` stands for any text, `?` for any one character.

text_types! {
    /// Glob of topic names with `*`, `?`, `{namespace}` and `{app}`.
    TopicPattern {
        kind: "topic pattern",
        length: 1..=249,
        pattern: r"^([a-zA-Z0-9._*?-]|\{namespace\}|\{app\})+$",
        remedy: "write a topic name in which * and ? are wildcards and {namespace} and {app} are filled in",
    }

    /// Glob of host names with `*`, `{namespace}` and `{app}`. `*` does not cross a dot.
    HostnamePattern {
        kind: "host name pattern",
        length: 1..=253,
        pattern: r"^([a-z0-9.*-]|\{namespace\}|\{app\})+$",
        remedy: "write a host name in lower case in which * is one label or part of it, and {namespace} and {app} are filled in",
    }

    /// Name of a Secret with `{namespace}` and `{app}` filled in.
    SecretNameTemplate {
        kind: "Secret name template",
        length: 1..=253,
        pattern: r"^([a-z0-9.-]|\{namespace\}|\{app\})+$",
        remedy: "use lower-case letters, digits, '-', '.', {namespace} and {app}",
    }
}

impl TopicPattern {
    /// Whether an endpoint with this namespace and app may use the topic.
    pub fn matches(&self, namespace: &str, app: &str, topic: &str) -> bool {
        glob(&tokens(self, namespace, app), topic, None)
    }
}

impl HostnamePattern {
    /// Whether an endpoint with this namespace and app may use the host name.
    pub fn matches(&self, namespace: &str, app: &str, hostname: &str) -> bool {
        glob(&tokens(self, namespace, app), hostname, Some('.'))
    }
}

impl SecretNameTemplate {
    /// The name for this namespace and app.
    pub fn fill(&self, namespace: &str, app: &str) -> Result<super::SecretName, super::InvalidName> {
        super::SecretName::new(&self.replace("{namespace}", namespace).replace("{app}", app))
    }
}

/// One piece of a pattern. What is filled in becomes literal characters, so that it can never act as a wildcard.
#[derive(Clone, Copy)]
enum Token {
    Literal(char),
    One,
    Any,
}

fn tokens(pattern: &str, namespace: &str, app: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = pattern;
    while let Some(next) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("{namespace}") {
            tokens.extend(namespace.chars().map(Token::Literal));
            rest = after;
        } else if let Some(after) = rest.strip_prefix("{app}") {
            tokens.extend(app.chars().map(Token::Literal));
            rest = after;
        } else {
            tokens.push(match next {
                '*' => Token::Any,
                '?' => Token::One,
                literal => Token::Literal(literal),
            });
            rest = &rest[next.len_utf8()..];
        }
    }
    tokens
}

/// Matches with one place to return to, so that the work is bounded by the product of the lengths.
fn glob(tokens: &[Token], text: &str, barrier: Option<char>) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut token, mut at) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match tokens.get(token) {
            None if at == text.len() => return true,
            Some(Token::Any) => {
                retry = Some((token + 1, at));
                token += 1;
                continue;
            }
            Some(Token::One) if at < text.len() && Some(text[at]) != barrier => {
                (token, at) = (token + 1, at + 1);
                continue;
            }
            Some(Token::Literal(c)) if text.get(at) == Some(c) => {
                (token, at) = (token + 1, at + 1);
                continue;
            }
            _ => {}
        }
        // Let the last wildcard take one character more, unless that character stops it.
        match retry {
            Some((after, from)) if from < text.len() && Some(text[from]) != barrier => {
                retry = Some((after, from + 1));
                (token, at) = (after, from + 1);
            }
            _ => return false,
        }
    }
}
