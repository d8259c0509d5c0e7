#!/usr/bin/env node
// The installed command. It exists apart from the built code so that npm can link it before anything is built.
import "../dist/src/main.js";
