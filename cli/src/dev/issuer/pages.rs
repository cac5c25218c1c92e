//! What a browser sees. Everything that comes from outside is escaped.

use super::people::Person;

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
<title>Test issuer of headgate dev</title><style>body{font:1.1rem system-ui;max-width:32rem;margin:4rem auto;padding:0 1rem}\
button{display:block;width:100%;margin:.6rem 0;padding:.8rem;font:inherit;text-align:left;cursor:pointer}\
input{font:inherit;padding:.5rem}textarea{width:100%;height:12rem;font:.9rem monospace}b{color:#b00}</style>";
const WARNING: &str = "<p><b>For development only.</b> This issuer asks nobody for a password.";

/// A form with one button per person; it is sent to the address of the page.
pub(super) fn people(people: &[Person], heading: &str, before: &str) -> String {
    let button = |person: &Person| {
        let (subject, claims) = (escape(&person.subject), escape(&person.told()));
        format!("<button name=\"user\" value=\"{subject}\">{subject}<br><small>{claims}</small></button>")
    };
    let buttons: Vec<String> = people.iter().map(button).collect();
    format!("{HEAD}<h1>{}</h1><form method=\"post\">{before}{}</form>{WARNING}", escape(heading), buttons.concat())
}

/// What stands on the issuer's own page before the people.
pub(super) fn introduction(url: &str) -> String {
    format!("<p>Or log in on the command line: <code>headgate login {}</code>", escape(url))
}

/// A token to copy.
pub(super) fn token(person: &Person, token: &str, seconds: i64) -> String {
    let (subject, token) = (escape(&person.subject), escape(token));
    format!(
        "{HEAD}<h1>A token of {subject}</h1><p>It is good for {seconds} seconds, wherever a stream here asks for one, or in \
         <code>HEADGATE_TOKEN</code>.<textarea aria-label=\"Token\" autofocus readonly>{token}</textarea>\
         <p><a href=\"/\">Another one</a>{WARNING}"
    )
}

/// The field for a device's code.
pub(super) fn code_field(code: &str) -> String {
    format!("<label>Code <input name=\"user_code\" value=\"{}\" autofocus></label>", escape(code))
}

/// A sentence.
pub(super) fn words(text: &str) -> String {
    format!("{HEAD}<p>{}{WARNING}", escape(text))
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_from_outside_stays_a_value() {
        let field = code_field("\"><script>alert(1)</script>");
        assert!(!field.contains("<script>") && !field.contains("\"><s"), "{field}");
    }
}
