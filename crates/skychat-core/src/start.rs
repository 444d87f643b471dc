//! Starting, in order.

use crate::{Node, NodeBuilder, StartError};

pub(crate) async fn start(builder: NodeBuilder) -> Result<Node, StartError> {
    let _ = builder;
    unimplemented!()
}
