//! Targets that are understood, and the sentence for each one that is not.

use super::*;
use crate::rejection::{Rejection, RejectionKind};
use crate::stream::filter::FilterError;
use headgate_wire::Cursor;
use headgate_wire::filter::{Comparisons, MAX_FILTER_LEAVES};
use proptest::prelude::*;
use secrecy::ExposeSecret as _;

const KEY: &str = "hgk_00000000_0000000000000000000000000000000000000000000000000";

fn path(path: &str) -> Result<Option<String>, RequestError> {
    StreamRequest::parse("orders", path, None).map(|request| request.channel)
}

fn query(query: &str) -> Result<StreamRequest, RequestError> {
    StreamRequest::parse("orders", "/orders", Some(query))
}

fn refusal(text: &str) -> String {
    query(text).expect_err(text).to_string()
}

#[test]
fn the_app_its_alias_and_their_channels_are_streams() {
    assert_eq!(path("/orders"), Ok(None));
    assert_eq!(path("/ws"), Ok(None));
    assert_eq!(path("/orders/eu"), Ok(Some("eu".into())));
    assert_eq!(path("/ws/eu"), Ok(Some("eu".into())));
    assert_eq!(path("/%6Frders/eu"), Ok(Some("eu".into())));
}

#[test]
fn a_channel_is_decoded_after_it_was_split_off() {
    assert_eq!(path("/orders/a%20b"), Ok(Some("a b".into())));
    assert_eq!(path("/orders/a%2Fb%3Fc"), Ok(Some("a/b?c".into())));
    assert_eq!(path("/orders/%E2%82%AC"), Ok(Some("€".into())));
    assert_eq!(path("/orders/a+b"), Ok(Some("a+b".into())));
    assert_eq!(path("/orders/%2520"), Ok(Some("%20".into())), "decoded once only");
    assert_eq!(path("/orders/*"), Ok(Some("*".into())), "no wildcard");
}

#[test]
fn a_channel_is_a_filter_on_the_subject() {
    let request = StreamRequest::parse("orders", "/orders/a%20b", Some("type=t&type=")).unwrap_err();
    assert_eq!(request, RequestError::Repeated("type"));
    let request = StreamRequest::parse("orders", "/orders/a%20b", Some("type=t")).unwrap();
    assert_eq!(request.filters, [Filter::exact("subject", "a b"), Filter::exact("type", "t")]);
}

#[test]
fn a_path_that_is_no_stream_says_what_is_wrong() {
    for unknown in ["", "/", "//", "orders", "/order", "/Orders", "/orders%2Feu", "/or%zzders", "/wss"] {
        let error = path(unknown).unwrap_err();
        assert_eq!((error.clone(), error.kind()), (RequestError::UnknownStream, RejectionKind::NotFound), "{unknown}");
    }
    assert_eq!(path("/orders/"), Err(RequestError::EmptyChannel));
    assert_eq!(path("/orders//eu"), Err(RequestError::EmptyChannel));
    assert_eq!(path("/orders/eu/west"), Err(RequestError::ChannelOfSeveralSegments));
    assert_eq!(path("/orders/eu/"), Err(RequestError::ChannelOfSeveralSegments));
    for broken in ["/orders/100%", "/orders/%2", "/orders/%zz", "/orders/%ff", "/orders/%+1"] {
        assert!(matches!(path(broken), Err(RequestError::Encoding(_))), "{broken}");
    }
    let long = format!("/orders/{}", "x".repeat(MAX_VALUE_BYTES + 1));
    assert!(matches!(path(&long), Err(RequestError::TooLong(_))));
}

#[test]
fn every_form_of_from_is_told_apart() {
    let from = |value: &str| query(&format!("from={value}")).map(|request| request.from.expect("a position"));
    let cursor = Cursor { next: vec![0, 300, 42], ..Cursor::default() };
    assert_eq!(from("latest"), Ok(StartPosition::Latest));
    assert_eq!(from("earliest"), Ok(StartPosition::Earliest));
    assert_eq!(from(&cursor.to_string()), Ok(StartPosition::Cursor(cursor)));
    let noon = StartPosition::Time("2027-01-01T12:00:00Z".parse().unwrap());
    assert_eq!(from("2027-01-01T12:00:00Z").as_ref(), Ok(&noon));
    assert_eq!(from("2027-01-01T13:00:00+01:00").as_ref(), Ok(&noon), "+ is a plus, not a space");
    assert_eq!(from("2027-01-01T13%3A00%3A00%2B01%3A00").as_ref(), Ok(&noon));
    assert_eq!(from("1969-12-31T23:59:59.999Z"), Ok(StartPosition::Earliest), "-1 is a word in Kafka's protocol");
    assert_eq!(from("-1"), Ok(StartPosition::Last(1)));
    assert_eq!(from("-100000"), Ok(StartPosition::Last(MAX_LAST_RECORDS)));
}

#[test]
fn a_position_that_is_none_is_refused_with_the_forms_that_exist() {
    for bad in ["yesterday!", "LATEST", "5", "2027-01-01", "2027-01-01T12:00:00", "12:00", "AQ="] {
        let sentence = refusal(&format!("from={bad}"));
        assert!(sentence.contains("RFC 3339") && !sentence.contains(bad), "{sentence}");
    }
    for bad in ["-", "-0", "-100001", "--5", "-+5", "-1e3", "-99999999999999999999999"] {
        assert_eq!(query(&format!("from={bad}")).unwrap_err(), RequestError::LastRecords, "{bad}");
    }
}

#[test]
fn last_event_id_is_a_cursor_or_nothing_wherever_it_stands() {
    let cursor = Cursor { next: vec![7], ..Cursor::default() };
    let expected = Some(StartPosition::Cursor(cursor.clone()));
    assert_eq!(StartPosition::from_last_event_id(&cursor.to_string()), Ok(expected.clone()));
    assert_eq!(query(&format!("from=earliest&lastEventId={cursor}")).unwrap().last_event_id, expected);
    for none in ["", " ", "\t"] {
        assert_eq!(StartPosition::from_last_event_id(none), Ok(None), "{none:?}");
    }
    assert_eq!(query("lastEventId=").unwrap().last_event_id, None);
    for other in ["latest", "17", "-5"] {
        assert_eq!(StartPosition::from_last_event_id(other), Err(RequestError::LastEventId), "{other}");
        assert_eq!(query(&format!("lastEventId={other}")).unwrap_err(), RequestError::LastEventId, "{other}");
    }
}

#[test]
fn formats_and_metadata_have_the_documented_words() {
    assert_eq!(query("format=raw").unwrap().format, Some(Format::Raw));
    assert_eq!(query("format=cloudevents").unwrap().format, Some(Format::CloudEvents));
    assert_eq!(query("format=topic-payload&metadata=kafka").unwrap().format, Some(Format::TopicPayload));
    assert!(query("metadata=kafka").unwrap().kafka_metadata && !query("").unwrap().kafka_metadata);
    assert!(refusal("format=json").contains("cloudevents, raw or topic-payload"));
    assert!(refusal("metadata=all").contains("kafka"));
}

#[test]
fn only_an_asterisk_that_is_not_encoded_means_every_key() {
    assert_eq!(query("key=*").unwrap().key, None);
    assert_eq!(query("key=%2A").unwrap().key.as_deref(), Some("*"));
    assert_eq!(query("key=a%20b+c").unwrap().key.as_deref(), Some("a b+c"));
    assert_eq!(query("key=*&key=a").unwrap_err(), RequestError::Repeated("key"));
    assert_eq!(query("key=k1?x=1").unwrap().key.as_deref(), Some("k1?x=1"));
}

#[test]
fn an_api_key_in_the_wrong_parameter_is_told_where_it_belongs() {
    let (_, issued) = headgate_wire::key::mint(7, &[9; 32]);
    for key in [issued.as_str(), KEY] {
        let sentence = refusal(&format!("key={key}"));
        assert!(sentence.contains("Authorization") && !sentence.contains(key), "{sentence}");
    }
}

#[test]
fn filters_may_be_repeated_and_all_must_match() {
    let request = query("filter.b.suffix=z&filter.a=x&filter.b.prefix=y&filter.a=w&filter.a=x").unwrap();
    let one = |name: &str, value: &str| Comparisons::from([(name.to_owned(), value.to_owned())]);
    let expected = [
        Filter::exact("a", "w"),
        Filter::exact("a", "x"),
        Filter::Prefix(one("b", "y")),
        Filter::Suffix(one("b", "z")),
    ];
    assert_eq!(request.filters, expected);
}

#[test]
fn requests_that_mean_the_same_have_equal_filters() {
    let channel = StreamRequest::parse("orders", "/orders/eu", Some("type=t")).unwrap();
    assert_eq!(channel.filters, query("filter.type=t&filter.subject=eu").unwrap().filters);
}

#[test]
fn a_filter_that_cannot_be_evaluated_is_refused() {
    assert!(matches!(query("filter.Type=t"), Err(RequestError::Filter(FilterError::AttributeName(_)))));
    assert!(matches!(query("filter.=t"), Err(RequestError::Filter(FilterError::AttributeName(_)))));
    assert!(refusal("filter.subject=").contains("`filter.subject` has no value"));
    assert!(refusal("filter.subject.contains=x").contains("filter.<attribute>.prefix"));
    assert!(refusal("filter.subject.exact=x").contains("not known"));
    assert!(refusal("filter.subject.prefix.suffix=x").contains("not known"));
    for name in ["data", "data.prefix", "data.total", "data.customer.id"] {
        let told = refusal(&format!("filter.{name}=x"));
        assert!(told.contains("data of an event cannot be compared") && told.contains("`key=`"), "{told}");
    }
    // An extension may have this name.
    assert_eq!(query("filter.key=x").unwrap().filters, [Filter::exact("key", "x")]);
    let many = "filter.a=x&".repeat(MAX_FILTER_LEAVES + 1);
    assert!(matches!(query(&many), Err(RequestError::Filter(FilterError::TooManyComparisons(65)))));
    let long = format!("filter.a={}", "x".repeat(MAX_VALUE_BYTES + 1));
    assert!(matches!(query(&long), Err(RequestError::TooLong(_))));
}

#[test]
fn a_parameter_that_does_not_exist_is_named_with_the_one_that_was_meant() {
    assert!(
        refusal("form=latest").contains("`form` is not known; did you mean `format`?"),
        "{}",
        refusal("form=latest")
    );
    assert!(refusal("apikey=x").contains("did you mean `api_key`?"));
    assert!(refusal("Token=x").contains("did you mean `token`?"));
    assert!(refusal("groupId=x").contains("did you mean `group_id`?"));
    assert!(refusal("zzz=1").contains("`zzz` is not known; remove it"));
    assert_eq!(query("zzz=1").unwrap_err().kind(), RejectionKind::UnknownParameter);
}

#[test]
fn what_this_version_does_not_offer_says_what_to_do_instead() {
    let error = query("group_id=a").unwrap_err();
    assert!(error.to_string().contains("not offered by this version"), "{error}");
    assert_eq!(error.kind(), RejectionKind::UnknownParameter);
}

#[test]
fn values_that_are_missing_or_broken_are_refused() {
    for text in ["from", "from=", "key=", "token=", "username", "type="] {
        assert!(refusal(text).contains("has no value"), "{text}");
    }
    for text in ["key=%", "key=%f", "token=%ff", "%zz=1", "filter.a=%0"] {
        assert!(refusal(text).contains("percent-encoded UTF-8"), "{text}");
    }
    assert!(query("&&from=latest&").unwrap().from.is_some(), "empty pairs say nothing");
    assert!(StreamRequest::parse("orders", "/orders", Some("")).unwrap().from.is_none());
}

#[test]
fn credentials_are_decoded_and_never_shown() {
    let request = query("token=s3cr%33t&username=m%65&api_key=s3cret:2").unwrap();
    let exposed = |secret: &Option<SecretString>| secret.as_ref().map(|s| s.expose_secret().to_owned());
    let QueryCredentials { token, username, api_key, ticket: _ } = &request.credentials;
    assert_eq!(exposed(token).as_deref(), Some("s3cr3t"));
    assert_eq!(exposed(username).as_deref(), Some("me"));
    assert_eq!(exposed(api_key).as_deref(), Some("s3cret:2"));
    let shown = format!("{request:?}");
    assert!(!shown.contains("s3cr") && !shown.contains("\"me\""), "{shown}");
}

#[test]
fn a_request_that_is_no_stream_may_carry_a_credential_and_nothing_else() {
    assert!(credentials_of(None).unwrap().token.is_none());
    assert!(credentials_of(Some("token=a.b.c&&username=me")).unwrap().token.is_some());
    for text in ["from=latest", "token=a&format=raw", "filter.subject=a", "zzz", "%74okn=s3cret"] {
        let error = credentials_of(Some(text)).unwrap_err();
        assert_eq!(error.kind(), RejectionKind::UnknownParameter, "{text}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}

#[test]
fn no_error_repeats_what_might_be_a_secret() {
    for text in
        [format!("{KEY}=1"), KEY.to_owned(), format!("from={KEY}"), format!("format={KEY}"), format!("a&b={KEY}")]
    {
        assert!(!refusal(&text).contains(KEY), "{text}");
    }
    let rejection = Rejection::from(query(KEY).unwrap_err());
    assert_eq!((rejection.status().as_u16(), rejection.message().contains("hgk")), (400, false));
}

#[test]
fn a_logged_target_shows_what_is_harmless_and_hides_the_rest() {
    let cases = [
        ("/orders/a%20b?from=-5&type=com.example.order", "/orders/a%20b?from=-5&type=com.example.order"),
        ("/orders?token=abc&from=latest", "/orders?token=***&from=latest"),
        ("/ws?username=me&api_key=x=y&ticket=t", "/ws?username=***&api_key=***&ticket=***"),
        ("/ws?%74oken=abc&TOKEN=abc", "/ws?token=***&token=***"),
        ("/ws?tokn=abc&abc&&filter.subject.prefix=a", "/ws?***&***&&filter.subject.prefix=a"),
        ("/ws?key=hgk_abc&key=eyJh.eyJi.c&filter.a=%68gk_x", "/ws?key=***&key=***&filter.a=***"),
        ("/hgk_abc?", "/***?"),
        ("/ws?key=a\nb&from=%zz", "/ws?key=***&from=***"),
        ("", ""),
    ];
    for (target, expected) in cases {
        assert_eq!(redacted(target), expected);
    }
    let long = redacted(&format!("/ws?{}", "from=latest&".repeat(1000)));
    assert!(long.len() <= MAX_LOGGED_TARGET_BYTES + '…'.len_utf8() && long.ends_with('…'));
}

proptest! {
    #[test]
    fn every_channel_and_key_survives_percent_encoding(channel in "\\PC{1,40}", key in "[^*]{1,40}") {
        prop_assume!(!key.starts_with("hgk_"));
        let encode = |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
        let target = (format!("/orders/{}", encode(&channel)), format!("key={}", encode(&key)));
        let request = StreamRequest::parse("orders", &target.0, Some(&target.1)).unwrap();
        prop_assert_eq!((request.channel, request.key), (Some(channel), Some(key)));
    }

    #[test]
    fn no_log_shows_the_value_of_a_credential(name in "token|username|api_key|ticket|tokn|%74oken|Api_Key", before in "[a-z=&?%/.]{0,20}") {
        let shown = redacted(&format!("/ws?{before}&{name}=S3CRET"));
        prop_assert!(!shown.contains("S3CRET"), "{}", shown);
    }
}
