// What node runs; each file adds its checks.
import './chat.mjs';
import './settings.mjs';
import './text.mjs';
import './dashboard.mjs';
import './access.mjs';
