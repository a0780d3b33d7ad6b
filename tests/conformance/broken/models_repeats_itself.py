"""The last model of a page is the first of the next.

Caught by: test_paging
"""

from sound_models import SoundModels, main


class Broken(SoundModels):
    def page(self, query):
        page = super().page(query)
        if "nextPageToken" in page:
            page["nextPageToken"] = str(int(page["nextPageToken"]) - 1)
        return page


main(Broken)
