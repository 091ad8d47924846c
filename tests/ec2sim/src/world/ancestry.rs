//! GetImageAncestry: from an image to the root of its line.

use std::collections::BTreeSet;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::agenda::written as date;
use crate::world::image::Image;
use crate::world::lifecycle::ImageInput;

/// How many entries an answer has at most: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ami-ancestry.html>.
const MAX_ENTRIES: usize = 50;

impl World {
    pub(crate) fn get_image_ancestry(&mut self, cx: &Context, input: ImageInput) -> Result<Xml, ApiError> {
        let first = self.region(cx)?.visible_image(cx, &input.image_id)?;
        let mut line = Vec::new();
        // A circle cannot come about by calls, but it can be put in.
        let mut seen = BTreeSet::new();
        let mut next = Some(first);
        while let Some(image) = next.filter(|image| line.len() < MAX_ENTRIES && seen.insert(image.id.as_str())) {
            line.push(image);
            next = self.parent(image);
        }
        let mut x = Xml::new();
        x.list("imageAncestryEntrySet", line, |x, image| {
            x.text("imageId", &image.id)
                .text("creationDate", date(image.created))
                .maybe("imageOwnerAlias", image.owner_alias.as_ref());
            if let Some(origin) = &image.origin {
                x.text("sourceImageId", &origin.image).text("sourceImageRegion", &origin.region);
            }
        });
        Ok(x)
    }

    /// The image that one was made of, which may be deregistered since. The line ends at an image of AWS or its marketplace: it
    /// is put in, and has no source.
    fn parent(&self, image: &Image) -> Option<&Image> {
        let origin = image.origin.as_ref()?;
        self.regions.get(&origin.region)?.images.get(&origin.image)
    }
}
