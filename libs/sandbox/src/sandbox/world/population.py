"""The whole world of one seed, and finding things in it by id."""

from sandbox.world.ads import Ad, AdAccount, AdSet, Campaign, Deliveries, make_accounts
from sandbox.world.deletions import Deletions
from sandbox.world.pages import Page, make_pages

Node = AdAccount | Campaign | AdSet | Ad | Page


class World:
    """Everything the demo person can see."""

    person_id = "122094530778001"
    person_name = "Dana Demo"

    def __init__(self, seed: int, accounts: int, pages: int, deletions: Deletions | None = None) -> None:
        self.seed = seed
        self.deletions = deletions or Deletions()
        self.accounts = make_accounts(seed, accounts)
        self.pages = make_pages(seed, pages)
        self.deliveries = Deliveries()
        self._nodes: dict[str, Node] = {page.id: page for page in self.pages}
        for account in self.accounts:
            self._nodes[account.id] = account
            for campaign in account.campaigns:
                self._nodes[campaign.id] = campaign
                for adset in campaign.adsets:
                    self._nodes[adset.id] = adset
                    self._nodes.update((ad.id, ad) for ad in adset.ads)

    def find(self, node_id: str) -> Node | None:
        """The node of that id, or None."""
        return self._nodes.get(node_id)

    def status(self, node: Campaign | AdSet | Ad) -> str:
        """DELETED once it or what it belongs to was deleted, else its campaign's."""
        if isinstance(node, Campaign):
            return "DELETED" if self.deletions.cover(node.id) else node.status
        owner = self.status(node.adset if isinstance(node, Ad) else node.campaign)
        return "DELETED" if self.deletions.cover(node.id) else owner

    def page(self, page_id: str) -> Page | None:
        """The page of that id, or None."""
        node = self._nodes.get(page_id)
        return node if isinstance(node, Page) else None
