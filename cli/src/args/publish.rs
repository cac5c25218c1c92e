//! The arguments of `headgate publish`.

use super::name_and_value;
use clap::{ArgGroup, Args};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  headgate publish --topic shop.orders --kafka localhost:9092 '{\"total\":12}'
  headgate publish --app orders --type com.example.order.created --subject eu '{\"total\":12}'
  headgate publish --app orders --attribute device=till-3 --ce-structured '{\"total\":12}'
  seq 1 1000 | headgate publish --topic shop.orders -   one record per line

`headgate dev` prints the address of its Kafka; put it into HEADGATE_KAFKA. Without any CloudEvents option the record is \
plain: DATA alone. The command returns when every record is stored (acks=all); exit code 1 if one is not.";

/// Arguments of `headgate publish`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, group = ArgGroup::new("where").required(true).args(["topic", "app"]))]
pub(crate) struct PublishArgs {
    /// The data of one record, or - for one record per line of the standard input
    #[arg(value_name = "DATA|-", default_value = "-")]
    pub(crate) data: String,

    /// Kafka topic
    #[arg(long, value_name = "TOPIC")]
    pub(crate) topic: Option<String>,

    /// Topic of this app, as the manifests say (--file, or those that `headgate dev` has built in)
    #[arg(long, value_name = "APP")]
    pub(crate) app: Option<String>,

    /// Manifests in which to look for --app
    #[arg(short = 'f', long = "file", value_name = "FILE", requires = "app")]
    pub(crate) files: Vec<PathBuf>,

    /// Kafka bootstrap servers, host:port,…
    #[arg(long, value_name = "BOOTSTRAP", env = "HEADGATE_KAFKA")]
    pub(crate) kafka: String,

    /// Property of the Kafka client, such as security.protocol=SSL
    #[arg(short = 'X', value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(crate) properties: Vec<(String, String)>,

    /// Kafka key: records of one key stay in order
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,

    /// Kafka header
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(crate) headers: Vec<(String, String)>,

    /// CloudEvents attributes.
    #[command(flatten)]
    pub(crate) event: EventArgs,
}

/// CloudEvents attributes; giving one of them makes the record a CloudEvent.
#[derive(Debug, Args)]
#[command(next_help_heading = "CloudEvents")]
pub(crate) struct EventArgs {
    /// `subject`: the channel
    #[arg(long, value_name = "SUBJECT")]
    pub(crate) subject: Option<String>,

    /// `type`
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) event_type: Option<String>,

    /// `source`, a URI reference
    #[arg(long, value_name = "SOURCE")]
    pub(crate) source: Option<String>,

    /// Extension attribute, such as device=till-3
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(crate) attributes: Vec<(String, String)>,

    /// Whole event as JSON in the value (structured mode) instead of attributes in headers (binary mode)
    #[arg(long = "ce-structured")]
    pub(crate) structured: bool,
}
