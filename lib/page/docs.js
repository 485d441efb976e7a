"use strict";
// No validator: it would send the documentation to a server elsewhere.
SwaggerUIBundle({ url: "openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null });
