// What scripts add to pages that work without them.
import { keepCurrent } from "./times.js";
import { follow } from "./feed.js";
import { enhanceForms } from "./forms.js";

keepCurrent();
enhanceForms(document);
follow();
