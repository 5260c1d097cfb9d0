"""An imitation of the Graph API and the Marketing API."""
