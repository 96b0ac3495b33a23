import { heldSideBySide } from './conversations.ts';

heldSideBySide({ scenarios: 60 });
