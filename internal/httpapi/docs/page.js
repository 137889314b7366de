// Shows the document in the page. Requests that a reader tries are of this
// origin, so cookie sessions work too.
window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  validatorUrl: null,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: 0,
  supportedSubmitMethods: ["get", "head", "post", "patch", "delete"],
});
