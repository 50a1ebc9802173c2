"""What holds for images of which the bytes are sent or read, and that others may use."""

import uuid
from collections.abc import AsyncIterator
from typing import ClassVar

import pytest
from msgspec.structs import replace

from nimbi.driver.compute import Images
from nimbi.drivertest.conformance import Conformance, fresh_name
from nimbi.drivertest.moves import comes_true
from nimbi.drivertest.needs import needs, needs_feature
from nimbi.drivertest.streams import (
    Torn,
    assert_same,
    closed,
    content_of,
    drained,
    in_chunks,
    torn_after,
)
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Conflict, Invalid, NotFound, Unsupported
from nimbi.model.images import Image, ImageFilter, ImageState, NewUpload, Visibility

# More than one chunk, and no whole number of sectors.
CONTENT = content_of(200_001)


class ConformsToImageUploads(Conformance):
    # What the login may choose of its own images.
    visibilities: ClassVar[tuple[Visibility, ...]] = (
        Visibility.PRIVATE,
        Visibility.SHARED,
        Visibility.COMMUNITY,
    )

    @pytest.fixture
    async def new_upload(self) -> NewUpload:
        return NewUpload(name=fresh_name(), format="raw")

    @pytest.fixture
    async def project_id(self) -> str:
        """Another account, with which images may be shared."""
        return uuid.uuid4().hex

    @needs("upload", "read", "get", "page")
    @pytest.mark.parametrize("told", [True, False], ids=["size-told", "size-unknown"])
    async def test_an_uploaded_image_holds_its_bytes(
        self, cloud: Cloud, made: Made, new_upload: NewUpload, told: bool
    ) -> None:
        wish = replace(new_upload, size_bytes=len(CONTENT) if told else None)
        new = await self.uploaded(cloud, made, wish)
        assert (new.name, new.format) == (wish.name, "raw")
        assert new.id in {image.id async for image in cloud.each(Images.page)}
        content = await cloud.call(Images.read, new.id)
        assert content.size_bytes in {None, len(CONTENT)}
        assert_same(await drained(content), CONTENT)

    @needs("upload", "read", "get")
    async def test_an_image_can_be_given_up_in_the_middle_and_read_again(
        self, cloud: Cloud, made: Made, new_upload: NewUpload
    ) -> None:
        new = await self.uploaded(cloud, made, new_upload)
        content = await cloud.call(Images.read, new.id)
        await anext(content.chunks)
        await closed(content)
        assert_same(await drained(await cloud.call(Images.read, new.id)), CONTENT)

    @needs("upload", "get", "page")
    async def test_the_same_token_twice_uploads_one_image(
        self, cloud: Cloud, made: Made, new_upload: NewUpload
    ) -> None:
        wish = replace(new_upload, token=str(uuid.uuid4()))
        first = await self.uploaded(cloud, made, wish)
        before = await made.listed(Images)
        second = await cloud.call(Images.upload, wish, in_chunks(CONTENT))
        made.track(Images, second.id)
        assert second.id == first.id
        assert await made.listed(Images) == before

    @needs("upload", "page")
    @pytest.mark.parametrize("more", [-1, 1])
    async def test_an_image_not_of_the_told_size_is_invalid_and_leaves_no_trace(
        self, cloud: Cloud, made: Made, new_upload: NewUpload, more: int
    ) -> None:
        await made.watch(Images)
        wish = replace(new_upload, size_bytes=len(CONTENT) + more)
        with pytest.raises(Invalid):
            await cloud.call(Images.upload, wish, in_chunks(CONTENT))
        await self.unlisted(cloud, wish.name)

    @needs("upload", "page")
    async def test_an_interrupted_upload_leaves_no_image(
        self, cloud: Cloud, made: Made, new_upload: NewUpload
    ) -> None:
        await made.watch(Images)
        with pytest.raises(Torn):
            await cloud.call(Images.upload, new_upload, torn_after(CONTENT))
        await self.unlisted(cloud, new_upload.name)

    @needs("upload", "page")
    async def test_a_format_that_no_image_has_is_invalid(
        self, cloud: Cloud, made: Made, new_upload: NewUpload
    ) -> None:
        await made.watch(Images)
        with pytest.raises(Invalid):
            wish = replace(new_upload, format="no-such-format")
            await cloud.call(Images.upload, wish, in_chunks(CONTENT))
        await self.unlisted(cloud, new_upload.name)

    @needs("upload", "get")
    @needs_feature(Images, "image_visibility")
    async def test_an_uploaded_image_may_be_used_by_whom_was_asked(
        self, cloud: Cloud, made: Made, new_upload: NewUpload
    ) -> None:
        for asked in self.visibilities:
            wish = replace(new_upload, name=fresh_name(), visibility=asked)
            assert (await self.uploaded(cloud, made, wish)).visibility is asked

    @needs("upload", "get")
    @needs_feature(Images, "image_properties")
    async def test_properties_are_in_the_clouds_own_answer(
        self, cloud: Cloud, made: Made, new_upload: NewUpload
    ) -> None:
        mark = fresh_name()
        wish = replace(new_upload, properties={"nimbi_mark": mark})
        new = await self.uploaded(cloud, made, wish)
        assert mark in str(dict(new.extra))

    @needs("upload")
    async def test_a_wish_of_an_upload_that_is_not_honoured_is_refused(
        self, cloud: Cloud, new_upload: NewUpload
    ) -> None:
        honoured = cloud.features(Images)
        for feature, wish in (
            ("image_visibility", replace(new_upload, visibility=Visibility.PRIVATE)),
            ("image_properties", replace(new_upload, properties={"a": "b"})),
        ):
            if feature not in honoured:
                with pytest.raises(Unsupported):
                    await cloud.call(Images.upload, wish, in_chunks(CONTENT))

    @needs("upload", "get", "page")
    @needs_feature(Images, "image_visibility", "visibility_filter")
    async def test_a_visibility_shows_the_images_that_have_it(
        self, cloud: Cloud, made: Made, new_upload: NewUpload
    ) -> None:
        wish = replace(new_upload, visibility=Visibility.PRIVATE)
        new = await self.uploaded(cloud, made, wish)
        for visibility in Visibility:
            where = ImageFilter(visibility=visibility)
            found = [image async for image in cloud.each(Images.page, limit=1, where=where)]
            assert {image.visibility for image in found} <= {visibility}
            assert (new.id in {image.id for image in found}) == (visibility is new.visibility)

    @needs("upload", "get", "share", "unshare")
    async def test_a_private_image_that_is_shared_says_so(
        self, cloud: Cloud, made: Made, new_upload: NewUpload, project_id: str
    ) -> None:
        new = await self.uploaded(cloud, made, new_upload)
        with pytest.raises(NotFound):
            await cloud.call(Images.unshare, new.id, project_id)
        for _ in range(2):
            shared = await cloud.call(Images.share, new.id, project_id)
            assert (shared.id, shared.visibility) == (new.id, Visibility.SHARED)
        assert (await cloud.call(Images.get, new.id)).visibility is Visibility.SHARED
        await cloud.call(Images.unshare, new.id, project_id)
        with pytest.raises(NotFound):
            await cloud.call(Images.unshare, new.id, project_id)

    @needs("upload", "get", "share")
    @needs_feature(Images, "image_visibility")
    async def test_an_image_for_everybody_cannot_be_shared(
        self, cloud: Cloud, made: Made, new_upload: NewUpload, project_id: str
    ) -> None:
        wish = replace(new_upload, visibility=Visibility.COMMUNITY)
        new = await self.uploaded(cloud, made, wish)
        with pytest.raises(Conflict):
            await cloud.call(Images.share, new.id, project_id)

    @needs("upload", "get", "share")
    async def test_an_account_without_a_name_is_invalid(
        self, cloud: Cloud, made: Made, new_upload: NewUpload
    ) -> None:
        new = await self.uploaded(cloud, made, new_upload)
        with pytest.raises(Invalid):
            await cloud.call(Images.share, new.id, "")

    async def uploaded(self, cloud: Cloud, made: Made, wish: NewUpload) -> Image:
        """Return an uploaded image as soon as it is available."""
        await made.watch(Images)
        chunks: AsyncIterator[bytes] = in_chunks(CONTENT)
        new = await cloud.call(Images.upload, wish, chunks)
        made.track(Images, new.id)
        return await cloud.wait(
            Images.get,
            new.id,
            until={ImageState.AVAILABLE},
            failing={ImageState.ERROR},
            timeout_s=self.patience_s,
        )

    async def unlisted(self, cloud: Cloud, name: str) -> None:
        """Return when no image of this name is listed."""

        async def is_unlisted() -> bool:
            return name not in {image.name async for image in cloud.each(Images.page)}

        await comes_true(is_unlisted, "it is still listed", self.patience_s)
